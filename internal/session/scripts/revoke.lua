-- Revokes all sessions of a user, but for one. Answers 'ok' and how many it revoked; or 'missing', having revoked none, if
-- the one to spare is not a live session of the user.
-- KEYS: 1 the index, 2 the mark of this write.
-- ARGV, in the order of revokeArgs in args.go:
--   1 id      write id
--   2 prefix  what the keys of the user's sessions begin with
--   3 u       the user
--   4 spare   the name of the one session to spare, '' for none
--   5 life    life of a tombstone, milliseconds
local id, prefix, u, spare, life = unpack(ARGV)

local before = redis.call('GET', KEYS[2])
if before then -- a retry must not revoke what was created since
  confirm(KEYS[2])
  return {'ok', before}
end

if spare ~= '' then
  local key, h = latest(prefix .. spare)
  if not h or h.kind ~= LIVE or user(key, h) ~= u then return {'missing'} end
  spare = string.sub(key, -NAME)
end
local revoked = 0
for _, m in ipairs(members(KEYS[1], u, '')) do
  local key, h = indexed(prefix, m, u)
  if not h then
    redis.call('ZREM', KEYS[1], m)
  elseif string.sub(m, -NAME) ~= spare then
    bury(KEYS[1], key, h, id, life)
    revoked = revoked + 1
  end
end
redis.pcall('SET', KEYS[2], revoked, 'PX', 60000)
return {'ok', tostring(revoked)}
