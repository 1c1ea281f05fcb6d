-- KEYS: session. ARGV: write id, guard, idle TTL, max TTL (microseconds or ''), length of meta (two bytes), meta and
-- sealed data.
local id, guard, idle, max, length, content = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local h = load(KEYS[1])
if not h or h.kind ~= LIVE then return {'missing'} end
if wrote(h, id) then return {'again', redis.call('GET', KEYS[1])} end
if not meets(h, guard) then return {'conflict'} end
if not slide(h, idle, max) then return {'over'} end

push(h, id)
local user = ''
if h.user > 0 then user = redis.call('GETRANGE', KEYS[1], HEADER, HEADER + h.user - 1) end
h.lengths = string.sub(h.lengths, 1, 2) .. length
redis.call('SET', KEYS[1], encode(h) .. user .. content, 'PXAT', expiry(h))
return {'ok', clear(KEYS[1], load(KEYS[1]))}
