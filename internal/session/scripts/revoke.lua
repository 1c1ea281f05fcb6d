-- KEYS: index, mark of this write. ARGV: write id, what the sessions' keys begin with, user, name of the one session to spare ('' for none),
-- life of a tombstone (milliseconds). Answers 'ok' and how many sessions were revoked.
local id, prefix, u, spare, life = unpack(ARGV)

local before = redis.call('GET', KEYS[2])
if before then -- a retry must not revoke what was created since
  confirm(KEYS[2])
  return {'ok', before}
end

if spare ~= '' then spare = string.sub(latest(prefix .. spare), -NAME) end
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
