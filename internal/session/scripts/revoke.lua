-- Revokes a slice of a user's sessions, but for one. The caller goes on until nothing is left of the sessions that there were at
-- its first call: those up to a time of creation. A rotation keeps that time, so that a session does not escape by it. Answers
-- 'ok' and three numbers: how many sessions it revoked, that time in microseconds, and 1 if there may be more; or 'missing',
-- having revoked none, if the one to spare is not a live session of the user.
-- KEYS: 1 the index, 2 the mark of this write.
-- ARGV, in the order of revokeArgs in args.go:
--   1 id      write id
--   2 prefix  what the keys of the user's sessions begin with
--   3 u       the user
--   4 spare   the name of the one session to spare, '' for none
--   5 upto    the time from the answer to the first call, '' in that
--   6 slice   members looked at at most, 2 or more
--   7 life    life of a tombstone, milliseconds
local id, prefix, u, spare, upto, slice, life = unpack(ARGV)
slice = tonumber(slice)

local before = redis.call('GET', KEYS[2])
if before then -- a retry must not revoke what was created since
  confirm(KEYS[2])
  return {'ok', before}
end

if spare ~= '' then
  local key, h = latest(prefix .. spare)
  local lives = h and h.kind == LIVE and user(key, h) == u
  if not lives and upto == '' then return {'missing'} end
  spare = string.sub(key, -NAME)
end
if upto == '' then
  local low, high = span(u)
  local newest = redis.call('ZREVRANGEBYLEX', KEYS[1], high, low, 'LIMIT', 0, 1)[1]
  upto = newest and string.format('%.0f', number(newest, 9)) or '0'
end
local all, revoked, more = members(KEYS[1], u, '', slice), 0, 0
if #all == slice then more = 1 end
for _, m in ipairs(all) do
  if number(m, 9) > tonumber(upto) then
    more = 0
    break
  end
  local key, h = indexed(prefix, m, u)
  if not h then
    redis.call('ZREM', KEYS[1], m)
  elseif string.sub(m, -NAME) ~= spare then
    bury(KEYS[1], key, h, id, life)
    revoked = revoked + 1
  end
end
local answer = string.format('%d %s %d', revoked, upto, more)
redis.pcall('SET', KEYS[2], answer, 'PX', 60000)
return {'ok', answer}
