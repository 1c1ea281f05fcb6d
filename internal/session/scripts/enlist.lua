-- KEYS: session that is not in the index yet, index. ARGV: write id, sessions that the user may have, life of a
-- tombstone (milliseconds). Makes room by revoking the oldest.
local h = load(KEYS[1])
if not h or h.kind ~= LIVE then return {'missing'} end
local u = user(KEYS[1], h)
redis.call('ZREM', KEYS[2], member(u, h.created, KEYS[1])) -- a retry must not count it
room(KEYS[2], string.sub(KEYS[1], 1, -NAME - 1), u, tonumber(ARGV[2]), true, ARGV[1], ARGV[3])
enlist(KEYS[2], u, h.created, KEYS[1], h.deadline)
return {'ok', clear(KEYS[1], h)}
