-- KEYS: session, index. ARGV: write id, max TTL (microseconds), record whose times are not filled in, sessions that the
-- user may have (0: any number, -1: keep it out of the index), '1' to evict the oldest or '' to deny, life of a tombstone
-- (milliseconds).
local id, max, record, limit, evict, life = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]

local h = load(KEYS[1])
if h then
  if since(h, id) then return again(KEYS[1], h, id) end
  if h.kind ~= LIVE then return {'revoked'} end
  return {'exists'}
end

local length = string.byte(record, 75) * 256 + string.byte(record, 76)
if length > 0 and limit > 0 then
  local u = string.sub(record, HEADER + 1, HEADER + length)
  if not room(KEYS[2], string.sub(KEYS[1], 1, -NAME - 1), u, limit, evict == '1', id, life) then return {'limit'} end
end
if limit < 0 then return insert(nil, KEYS[1], record, max) end
return insert(KEYS[2], KEYS[1], record, max)
