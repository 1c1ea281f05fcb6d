-- Slides the idle deadline of a session and sets new TTLs. It takes no write id: touching twice does no harm, and the
-- record's write ids are for writes that change something.
-- KEYS: 1 the session, 2 the index of its user.
-- ARGV, in the order of touchArgs in args.go:
--   1 guard   see meets
--   2 idle    new idle TTL, microseconds, or ''
--   3 max     new max TTL, microseconds, or ''
--   4 used    '1' if the caller has the session's own ID, '' if an older one led here
--   5 still   '1' to leave the idle deadline as it is, and only note that the session was used
--   6 whole   '1' to answer with the whole record, so that the caller can verify all that it tells; not with still
local guard, idle, max, used, still, whole = unpack(ARGV)

local h = load(KEYS[1])
if h and h.kind == ROTATED then return rotated(KEYS[1], h) end
if not h or h.kind ~= LIVE then return {'missing'} end
if not meets(h, guard) then return {'conflict'} end
local first = used ~= '' and h.unused
if first then h.unused = false end
if still ~= '' then
  if first then redis.call('SETRANGE', KEYS[1], 0, encode(h)) end
  return {'ok', clear(KEYS[1], h)}
end
local before = h.deadline
if not slide(h, idle, max) then return {'over'} end

local set = redis.pcall('SETRANGE', KEYS[1], 0, encode(h)) -- Redis refuses it when it is out of memory
if type(set) == 'table' and set.err and (idle ~= '' or max ~= '') then return {err = set.err} end
-- Without new TTLs, the idle deadline can move all the same: it is the key's expiry that counts.
redis.call('PEXPIREAT', KEYS[1], expiry(h))
if h.deadline > before then prolong(KEYS[1], h) end
if h.user > 0 then sustain(KEYS[2], user(KEYS[1], h), KEYS[1], h, idle ~= '' or max ~= '') end
local stored = whole ~= '' and redis.call('GETRANGE', KEYS[1], 0, -1) or clear(KEYS[1], h)
return {'ok', encode(h) .. string.sub(stored, h.size + 1)}
