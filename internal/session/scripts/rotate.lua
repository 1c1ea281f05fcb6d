-- KEYS: session, index, successor. ARGV: write id, guard, grace (microseconds), length of meta (two bytes), meta and data
-- sealed for the successor, the successor's ID sealed for the session, the successor's name, life of a tombstone
-- (milliseconds).
-- The successor takes over everything, the absolute deadline above all: rotation must not prolong a session.
local id, guard, grace, length, content, pointer, successor, life = unpack(ARGV)
grace = tonumber(grace)

local h = load(KEYS[1])
if h and h.kind ~= LIVE and since(h, id) then
  local made = redis.call('GET', KEYS[3]) -- by this very call, if it is sent again, however long that took
  if made then
    confirm(KEYS[3])
    return {'again', made}
  end
end
if h and h.kind == ROTATED then return rotated(KEYS[1], h) end
if not h or h.kind ~= LIVE then return {'missing'} end
if not meets(h, guard) then return {'conflict'} end
if not slide(h, '', '') then return {'missing'} end

push(h, id)
local u, deadline = user(KEYS[1], h), h.deadline
h.lengths = string.sub(h.lengths, 1, 2) .. length
redis.call('SET', KEYS[3], encode(h) .. u .. content, 'PXAT', expiry(h))
if u ~= '' then
  delist(KEYS[2], u, h.created, KEYS[1])
  enlist(KEYS[2], u, h.created, KEYS[3], h.deadline)
end

-- The old ID keeps a record as long as the session may live: who still uses it after the grace has stolen it, or been
-- stolen from. It names the successor in the clear too, for who comes with the old handle.
if grace > 0 then
  h.kind, h.deadline = ROTATED, h.touched + grace
  h.lengths = string.sub(h.lengths, 1, 2) .. string.char(0, NAME)
  redis.call('SET', KEYS[1], encode(h) .. u .. successor .. pointer, 'PXAT', string.format('%.0f', math.ceil(deadline / 1000)))
else
  h.kind, h.lengths = TOMBSTONE, string.char(0, 0, 0, 0)
  redis.call('SET', KEYS[1], encode(h), 'PX', life)
end
return {'ok', clear(KEYS[3], load(KEYS[3]))}
