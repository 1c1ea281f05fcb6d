-- KEYS: session, index. ARGV: guard, idle TTL, max TTL (microseconds or '').
-- No write id: to touch twice is to touch, and the ids of real writes shall not be pushed out.
local guard, idle, max = ARGV[1], ARGV[2], ARGV[3]

local h = load(KEYS[1])
if h and h.kind == ROTATED then return rotated(KEYS[1], h) end
if not h or h.kind ~= LIVE then return {'missing'} end
if not meets(h, guard) then return {'conflict'} end
local before = h.deadline
if not slide(h, idle, max) then return {'over'} end

redis.pcall('SETRANGE', KEYS[1], 0, encode(h)) -- out of memory it is refused, and the expiry alone is moved
redis.call('PEXPIREAT', KEYS[1], expiry(h))
if h.user > 0 and h.deadline > before then outlive(KEYS[2], h.deadline) end
return {'ok', clear(KEYS[1], h)}
