-- KEYS: session. ARGV: write id, guard, life of the tombstone (milliseconds).
local id, guard, life = ARGV[1], ARGV[2], ARGV[3]

local h = load(KEYS[1])
if not h or h.kind ~= LIVE then return {'ok'} end
if not meets(h, guard) then return {'conflict'} end

push(h, id)
h.kind, h.lengths = TOMBSTONE, string.char(0, 0, 0, 0)
redis.call('SET', KEYS[1], encode(h), 'PX', life)
return {'ok'}
