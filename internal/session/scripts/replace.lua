-- KEYS: session, index. ARGV: write id, guard, idle TTL, max TTL (microseconds or ''), length of meta (two bytes), meta and
-- sealed data; and to create what is missing, the record whose times are not filled in and its max TTL, else two ''.
local id, guard, idle, max, length, content, record, lifetime = unpack(ARGV)

local h = load(KEYS[1])
if not h and record ~= '' then
  if guard ~= '' then return {'missing'} end
  return insert(KEYS[2], KEYS[1], record, tonumber(lifetime))
end
if h and since(h, id) then return again(KEYS[1], h, id) end
if h and h.kind == ROTATED then return rotated(KEYS[1], h) end
if h and h.kind == TOMBSTONE and record ~= '' then return {'revoked'} end
if not h or h.kind ~= LIVE then return {'missing'} end
if not meets(h, guard) then return {'conflict'} end
if not slide(h, idle, max) then return {'over'} end

push(h, id)
local u = user(KEYS[1], h)
h.lengths = string.sub(h.lengths, 1, 2) .. length
redis.call('SET', KEYS[1], encode(h) .. u .. content, 'PXAT', expiry(h))
if u ~= '' then outlive(KEYS[2], h.deadline) end
return {'ok', clear(KEYS[1], load(KEYS[1]))}
