-- Revokes a session. It also acknowledges a session that is not there. Answers 'ok' and what it found: 'revoked' if it was
-- this call that revoked the session, 'again' if it was an earlier one with this write id, '' if there was nothing to revoke,
-- 'unused' if it spared the session.
-- KEYS: 1 the session, 2 the index of its user, 3 the mark of this write.
-- ARGV, in the order of deleteArgs in args.go:
--   1 id      write id
--   2 guard   see meets
--   3 life    life of the tombstone, milliseconds; '' to leave none
--   4 owned   the user whose session it must be, '' for any; with a user, the key follows rotations
--   5 force   '1' to bury even the ID from before a rotation, or with life '' to free it, else ''
--   6 spare   '1' to spare a session that is unused since it was made by a rotation, else ''
local id, guard, life, owned, force, spare = unpack(ARGV)

if life == '' and redis.call('EXISTS', KEYS[3]) == 1 then -- a retry must not delete a session created since
  confirm(KEYS[3])
  return {'ok', 'again'}
end
local key, h = KEYS[1], load(KEYS[1])
if owned ~= '' then key, h = latest(key) end -- by handle: the caller has no ID to follow
if h and h.kind == ROTATED and force == '' then return rotated(KEYS[1], h) end
if not h then
  if owned == '' and guard == '' and life ~= '' then
    forestall(KEYS[1], id, life)
  else
    redis.pcall('SET', KEYS[3], '', 'PX', 60000) -- a write, so that WAIT covers the deletion that was found
  end
  return {'ok', ''}
end
if h.kind == TOMBSTONE and (force == '' or life ~= '') then
  confirm(key)
  return {'ok', since(h, id) and 'again' or ''}
end
if owned ~= '' and user(key, h) ~= owned then return {'ok', ''} end
if not meets(h, guard) then return {'conflict'} end
if h.unused and spare ~= '' then return {'ok', 'unused'} end

if life ~= '' then
  bury(KEYS[2], key, h, id, life)
  return {'ok', 'revoked'}
end
local u = user(key, h)
if u ~= '' then delist(KEYS[2], u, h.created, key) end
redis.call('DEL', key)
redis.pcall('SET', KEYS[3], '', 'PX', 60000)
return {'ok', 'revoked'}
