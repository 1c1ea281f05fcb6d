-- KEYS: session, index, mark of this write. ARGV: write id, guard, life of the tombstone (milliseconds; '' leaves none), the user whose
-- session it must be ('' for any), '1' to bury even the ID from before a rotation.
local id, guard, life, of, force = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

if life == '' and redis.call('EXISTS', KEYS[3]) == 1 then -- a retry must not delete who came since
  confirm(KEYS[3])
  return {'ok'}
end
local key, h = KEYS[1], load(KEYS[1])
if of ~= '' then key, h = latest(key) end -- by handle: there is no ID to follow
if h and h.kind == ROTATED and force == '' then return rotated(KEYS[1], h) end
if not h then
  if of == '' and guard == '' and life ~= '' then
    forestall(KEYS[1], id, life)
  else
    redis.pcall('SET', KEYS[3], '', 'PX', 60000) -- whoever deleted it may not be sure of it yet
  end
  return {'ok'}
end
if h.kind == TOMBSTONE then
  confirm(key)
  return {'ok'}
end
if of ~= '' and user(key, h) ~= of then return {'ok'} end
if not meets(h, guard) then return {'conflict'} end

if life ~= '' then
  bury(KEYS[2], key, h, id, life)
  return {'ok'}
end
local u = user(key, h)
if u ~= '' then delist(KEYS[2], u, h.created, key) end
redis.call('DEL', key)
redis.pcall('SET', KEYS[3], '', 'PX', 60000)
return {'ok'}
