-- Gives a session a new ID: a successor takes over everything. That includes the absolute deadline, since rotation must
-- not prolong a session.
-- KEYS: 1 the session, 2 the index of its user, 3 the successor.
-- Besides the usual answers there is 'onward': it was applied before, and the successor is not live any more.
-- ARGV, in the order of rotateArgs in args.go:
--   1 id         write id
--   2 guard      see meets
--   3 grace      microseconds
--   4 length     length of the meta, two bytes
--   5 content    the meta, then the data, sealed for the successor
--   6 pointer    the successor's ID, sealed for the session
--   7 successor  the successor's name
--   8 format     the format of the successor's record
--   9 mac        the MAC of its user, '' in format 1
local id, guard, grace, length, content, pointer, successor, format, mac = unpack(ARGV)
grace = tonumber(grace)

local h = load(KEYS[1])
if h and h.kind ~= LIVE and since(h, id) then -- this very write was sent again
  local made = load(KEYS[3])
  if made and made.kind == LIVE then
    confirm(KEYS[3])
    return {'again', redis.call('GET', KEYS[3])}
  end
  return {'onward'} -- others have found the successor by the old ID, and rotated or revoked it
end
if h and h.kind == ROTATED then return rotated(KEYS[1], h) end
if not h or h.kind ~= LIVE then return {'missing'} end
if not meets(h, guard) then return {'conflict'} end
if not slide(h, '', '') then return {'missing'} end

push(h, id)
h.unused = true
local u, deadline = user(KEYS[1], h), h.deadline
local old = {format = h.format, mac = h.mac}
h.format, h.mac = tonumber(format), mac
h.meta = struct.unpack('>H', length)
redis.call('SET', KEYS[3], encode(h) .. u .. content, 'PXAT', expiry(h))
if u ~= '' then
  delist(KEYS[2], u, h.created, KEYS[1])
  enlist(KEYS[2], u, KEYS[3], h)
end

-- The old ID keeps a record for as long as the session may live: if the ID is used after the grace, and the new one was used
-- too, one of the two callers is a thief. The record also names the successor in the clear, for calls by the old handle.
h.kind, h.deadline, h.unused = ROTATED, h.touched + grace, false
h.format, h.mac = old.format, old.mac
h.meta = NAME
redis.call('SET', KEYS[1], encode(h) .. u .. successor .. pointer, 'PXAT', string.format('%.0f', math.ceil(deadline / 1000)))
leave(KEYS[1], h, deadline)
return {'ok', clear(KEYS[3], load(KEYS[3]))}
