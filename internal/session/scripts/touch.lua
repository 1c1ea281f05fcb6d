-- KEYS: session. ARGV: guard, idle TTL, max TTL (microseconds or '').
-- No write id: to touch twice is to touch, and the ids of real writes shall not be pushed out.
local guard, idle, max = ARGV[1], ARGV[2], ARGV[3]

local h = load(KEYS[1])
if not h or h.kind ~= LIVE then return {'missing'} end
if not meets(h, guard) then return {'conflict'} end
if not slide(h, idle, max) then return {'over'} end

redis.call('SETRANGE', KEYS[1], 0, encode(h))
redis.call('PEXPIREAT', KEYS[1], expiry(h))
return {'ok', clear(KEYS[1], h)}
