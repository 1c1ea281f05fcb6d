-- KEYS: session, index. ARGV: write id, guard, life of the tombstone (milliseconds).
-- As delete, but only one of several callers succeeds.
local id, guard, life = ARGV[1], ARGV[2], ARGV[3]

local h = load(KEYS[1])
if h and h.kind == ROTATED then return rotated(KEYS[1], h) end
if h and h.kind == TOMBSTONE and since(h, id) then
  confirm(KEYS[1])
  return {'ok'}
end
if not h or h.kind ~= LIVE then return {'missing'} end
if not meets(h, guard) then return {'conflict'} end
bury(KEYS[2], KEYS[1], h, id, life)
return {'ok'}
