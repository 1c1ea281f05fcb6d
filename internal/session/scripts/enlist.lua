-- Enters a session that a login created unlisted into its user's index, and makes room by revoking the oldest.
-- KEYS: 1 the session, 2 the index of its user.
-- ARGV, in the order of enlistArgs in args.go:
--   1 id      write id
--   2 limit   how many sessions the user may have, at least 1
--   3 life    life of a tombstone, milliseconds
local id, limit, life = unpack(ARGV)

local h = load(KEYS[1])
if not h or h.kind ~= LIVE then return {'missing'} end
local u = user(KEYS[1], h)
delist(KEYS[2], u, h.created, KEYS[1]) -- a retry must not count itself
room(KEYS[2], string.sub(KEYS[1], 1, -NAME - 1), u, tonumber(limit), true, id, life)
enlist(KEYS[2], u, KEYS[1], h)
return {'ok', clear(KEYS[1], h)}
