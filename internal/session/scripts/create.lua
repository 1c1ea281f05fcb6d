-- Creates a session where there is none.
-- KEYS: 1 the session, 2 the index of its user.
-- ARGV, in the order of createArgs in args.go:
--   1 id      write id
--   2 max     max TTL, microseconds
--   3 record  the record; the script fills in its times
--   4 limit   how many sessions the user may have; 0: any number, -1: keep this one out of the index
--   5 evict   '1' to revoke the user's oldest session at the limit, '' to refuse the new one
--   6 life    life of a tombstone, milliseconds
local id, max, record, limit, evict, life = unpack(ARGV)
max, limit = tonumber(max), tonumber(limit)

local h = load(KEYS[1])
if h then
  if since(h, id) then return again(KEYS[1], h, id) end
  if reused(h, id) then return {'key'} end
  if h.kind ~= LIVE then return {'revoked'} end
  return {'exists'}
end

local length = struct.unpack('>H', record, 75)
if length > 0 and limit > 0 then
  local size = SIZE[string.byte(record, 1)]
  local u = string.sub(record, size + 1, size + length)
  if not room(KEYS[2], string.sub(KEYS[1], 1, -NAME - 1), u, limit, evict == '1', id, life) then return {'limit'} end
end
if limit < 0 then return insert(nil, KEYS[1], record, max) end
return insert(KEYS[2], KEYS[1], record, max)
