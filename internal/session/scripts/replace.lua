-- Replaces the content of a session. With a record, it creates a missing one.
-- KEYS: 1 the session, 2 the index of its user.
-- ARGV, in the order of replaceArgs in args.go:
--   1 id        write id
--   2 guard     see meets
--   3 idle      new idle TTL, microseconds, or ''
--   4 max       new max TTL, microseconds, or ''
--   5 length    length of the meta, two bytes
--   6 content   the meta, then the sealed data
--   7 record    what to create if there is no session, its times not filled in; '' to create nothing
--   8 lifetime  max TTL of that record, microseconds; '' with no record
--   9 used      '1' if the caller has the session's own ID, '' if an older one led here
--   10 format   the format of records that the content is sealed for
-- Besides the usual answers there is 'format', if that of the record is another.
local id, guard, idle, max, length, content, record, lifetime, used, format = unpack(ARGV)

local h = load(KEYS[1])
if not h and record ~= '' then
  if guard ~= '' then return {'missing'} end
  return insert(KEYS[2], KEYS[1], record, tonumber(lifetime))
end
if h and since(h, id) then return again(KEYS[1], h, id) end
if h and reused(h, id) then return {'key'} end
if h and h.kind == ROTATED then return rotated(KEYS[1], h) end
if h and h.kind == TOMBSTONE and record ~= '' then return {'revoked'} end
if not h or h.kind ~= LIVE then return {'missing'} end
if not meets(h, guard) then return {'conflict'} end
if h.format ~= tonumber(format) then return {'format'} end
local before = h.deadline
if not slide(h, idle, max) then return {'over'} end

push(h, id)
if used ~= '' then h.unused = false end
local u = user(KEYS[1], h)
h.meta = struct.unpack('>H', length)
local front = encode(h) .. u
redis.call('SET', KEYS[1], front .. content, 'PXAT', expiry(h))
if h.deadline > before then prolong(KEYS[1], h) end
if u ~= '' then sustain(KEYS[2], u, KEYS[1], h, idle ~= '' or max ~= '') end
return {'ok', front .. string.sub(content, 1, h.meta)}
