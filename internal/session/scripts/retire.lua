-- Revokes the session that a login leaves behind. Unlike delete, it succeeds for one of several callers only.
-- KEYS: 1 the session, 2 the index of its user.
-- ARGV, in the order of retireArgs in args.go:
--   1 id      write id
--   2 guard   see meets
--   3 life    life of the tombstone, milliseconds
local id, guard, life = unpack(ARGV)

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
