-- What scripts share. Each of them gets what it needs of this file when it is loaded (scripts.go).
-- The offsets are those of record.go, one higher because Lua counts from 1. Change the two together.

local SIZE = {78, 94} -- bytes of the header, by format
local HEAD = 158 -- bytes that are read at first: the header, and a user as long as most
local LIVE, TOMBSTONE, ROTATED = 1, 2, 3
local NAME = 22 -- characters of a session's name, with which its key ends
local KEYED = 5 -- bytes of a write id that stand for the operation and the caller's key

-- Bounds on the work of one call. A script holds its shard while it runs, so that no script may take longer the more sessions
-- or rotations callers have made.
local HOPS = 1000    -- rotations over which a handle is followed; maxHops in follow.go
local TRAIL = 256    -- names that the trail of a session keeps
local CHECKED = 1024 -- members that are looked at to find the sessions of a user that have ended; above maxPerUser in tenant.go
local EVICTED = 100  -- sessions that one create revokes to make room

-- Big-endian, 64 bits. A Lua number is exact up to 2^53, and microseconds stay below that until the year 2255.
local function number(s, at) return (struct.unpack('>I8', s, at)) end

local function bytes(n) return struct.pack('>I8', n) end

-- Redis' clock, in microseconds: the instances of the service need not agree on the time.
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- The header at key, or nil if there is no record. All of it is read in one call into C, and written in one: a script holds its shard,
-- and putting numbers together byte by byte was most of its time.
local function load(key)
  local s = redis.call('GETRANGE', key, 0, HEAD - 1)
  if s == '' then return nil end
  local size = SIZE[string.byte(s, 1)]
  if not size or #s < size then error('unknown record format at ' .. key) end
  local format, kind, version, created, touched, idle, deadline, writes, user, meta = struct.unpack('>BBI8I8I8I8I8c32HH', s)
  return {
    head = s,
    format = format,
    size = size,
    kind = kind,
    version = version,
    created = created,
    touched = touched,
    idle = idle - idle % 1000,
    unused = idle % 1000 ~= 0,
    deadline = deadline,
    writes = writes,
    user = user, -- bytes of it
    meta = meta, -- the same
    mac = string.sub(s, 79, size), -- of the user; none in format 1
  }
end

local function encode(h)
  return struct.pack('>BBI8I8I8I8I8c32HHc0', h.format, h.kind, h.version, h.created, h.touched, h.idle + (h.unused and 1 or 0),
    h.deadline, h.writes, h.user, h.meta, h.mac)
end

-- When the session ends unless it is used, microseconds.
local function ending(h)
  return math.min(h.touched + h.idle, h.deadline)
end

-- The same in milliseconds as Redis takes it. Rounded up, so that no session ends early.
local function expiry(h)
  return string.format('%.0f', math.ceil(ending(h) / 1000))
end

local function clear(key, h)
  return redis.call('GETRANGE', key, 0, h.size + h.user + h.meta - 1)
end

local function user(key, h)
  local last = h.size + h.user
  if last <= #h.head then return string.sub(h.head, h.size + 1, last) end
  return redis.call('GETRANGE', key, h.size, last - 1)
end

-- How many writes came after the one with this id, or nil if it is not among the last four.
local function since(h, id)
  for i = 0, #h.writes / 8 - 1 do
    if string.sub(h.writes, 8 * i + 1, 8 * i + 8) == id then return i end
  end
  return nil
end

-- Whether one of the last four writes has the caller's key of this id, but another body: their first KEYED bytes are equal,
-- of which the first bit is set for writes with a key (writekey.go). Call it after since has found nothing.
local function reused(h, id)
  if string.byte(id, 1) < 128 then return false end
  for i = 1, #h.writes, 8 do
    if string.sub(h.writes, i, i + KEYED - 1) == string.sub(id, 1, KEYED) then return true end
  end
  return false
end

-- A write that changes nothing, for a script that acknowledges what it finds already done. WAIT covers only the writes of
-- its own connection, and the writer of what was found may itself still be waiting for its replica.
local function confirm(key)
  redis.call('PEXPIRE', key, redis.call('PTTL', key))
end

-- The answer to a write that was applied before: the version that it made, even if others have written or revoked since.
-- So the caller never takes another writer's version for its own.
local function again(key, h, id)
  local rest = string.sub(clear(key, h), h.size + 1)
  confirm(key)
  h.version = h.version - since(h, id)
  if h.kind == ROTATED then h.deadline = now() + redis.call('PTTL', key) * 1000 end -- the record's own deadline is the end of the grace
  h.kind = LIVE
  return {'again', encode(h) .. rest}
end

-- The answer to a caller with an ID from before a rotation: follow the pointer, or after the grace see whether this is
-- reuse. Redis' clock alone decides which.
local function rotated(key, h)
  local verdict = 'rotated'
  if now() >= h.deadline then verdict = 'late' end
  return {verdict, redis.call('GET', key)}
end

-- Follows a handle from before rotations to the last key of the chain. Returns that key and its header, which is nil if the
-- chain is longer than HOPS.
local function latest(key)
  local h = load(key)
  for _ = 1, HOPS do
    if not h or h.kind ~= ROTATED then return key, h end
    local from = h.size + h.user
    key = string.sub(key, 1, -NAME - 1) .. redis.call('GETRANGE', key, from, from + NAME - 1)
    h = load(key)
  end
  return key, nil
end

local function push(h, id)
  h.writes = id .. string.sub(h.writes, 1, -9)
  h.version = h.version + 1
end

-- Whether the record meets the guard: '' is no condition, '*' that there is a session, otherwise '=' followed by the stamps
-- of which it must have one.
local function meets(h, guard)
  if guard == '' or guard == '*' then return true end
  local stamp = string.sub(h.head, 3, 18) -- version and created
  for i = 2, #guard, 16 do
    if string.sub(guard, i, i + 15) == stamp then return true end
  end
  return false
end

-- Slides the idle deadline and sets new TTLs (microseconds; '' leaves one as it is). An idle TTL above the max TTL raises
-- the max TTL, unless that is given too. Returns false if the session would be over at once.
local function slide(h, idle, max)
  h.touched = now()
  if idle ~= '' then h.idle = tonumber(idle) end
  if max ~= '' then
    h.deadline = h.created + tonumber(max)
  elseif idle ~= '' then
    h.deadline = math.max(h.deadline, h.created + h.idle)
  end
  return h.deadline > h.touched
end

-- The index of users' sessions: one sorted set for all users of a tag. All scores are 0, so that it is sorted by member.
-- A member is 8 bytes of the user's hash, 8 bytes of the time of creation, and the session's name: the sessions of one
-- user are neighbours, oldest first. A member holds no deadline, so that a touch need not write to the index, except to let it
-- live on: the index ends with the last of its sessions. Readers skip the members of dead sessions; scripts that add a member
-- remove some of them.

local function owner(u)
  local hex, b = redis.sha1hex(u), {}
  for i = 1, 8 do b[i] = tonumber(string.sub(hex, 2 * i - 1, 2 * i), 16) end
  return string.char(unpack(b))
end

local function member(u, created, key)
  return owner(u) .. bytes(created) .. string.sub(key, -NAME)
end

-- The key of the session that a member names, and its header if the session lives and belongs to the user u (nil: any).
local function indexed(prefix, m, u)
  local key = prefix .. string.sub(m, -NAME)
  local h = load(key)
  if h and h.kind == LIVE and h.created == number(m, 9) and (not u or user(key, h) == u) then return key, h end
  return key, nil
end

-- Where the user's members begin and end in the index, as ZRANGEBYLEX takes it: a time of creation begins with a zero byte.
local function span(u)
  local from = owner(u)
  return '[' .. from, '(' .. from .. '\1'
end

-- The user's members, oldest first, at most n of them, that follow the member after ('': from the first).
local function members(index, u, after, n)
  local low, high = span(u)
  if after ~= '' then low = '(' .. after end
  return redis.call('ZRANGEBYLEX', index, low, high, 'LIMIT', 0, n)
end

-- Lets a key live at least until the deadline, microseconds.
local function outlive(key, deadline)
  local left = redis.call('PTTL', key)
  if left < 0 or now() + left * 1000 < deadline then
    redis.call('PEXPIREAT', key, string.format('%.0f', math.ceil(deadline / 1000)))
  end
end

-- The trail of a session: the names that it had before its last TRAIL rotations. The key has the time of creation in place of
-- a name. If two sessions share it, each only keeps the other's old records longer.
local function trail(key, h)
  return string.sub(key, 1, 6) .. 'r' .. string.sub(key, 8, -NAME - 1) .. string.format('%.0f', h.created)
end

-- Adds the name of a session that is being rotated to its trail, which lives until the deadline, microseconds.
local function leave(key, h, deadline)
  local path = trail(key, h)
  local size = redis.call('APPEND', path, string.sub(key, -NAME))
  if size > TRAIL * NAME then redis.call('SET', path, redis.call('GETRANGE', path, size - TRAIL * NAME, -1), 'KEEPTTL') end
  outlive(path, deadline)
end

-- Lets the old records of a session live as long as the session can, after its deadline was raised. While the slot moves to
-- another master, some of them may be out of reach; those end when they would have.
local function prolong(key, h)
  local path, prefix = trail(key, h), string.sub(key, 1, -NAME - 1)
  local names = redis.call('GET', path)
  if not names then return end
  outlive(path, h.deadline)
  for i = 1, #names, NAME do
    local old = prefix .. string.sub(names, i, i + NAME - 1)
    local o = load(old)
    if o and o.kind == ROTATED then outlive(old, h.deadline) end
  end
end

-- The ends of a user's sessions: a sorted set of their members, scored by a time in milliseconds before which the session does
-- not end by itself. It spares a create at the limit from looking at every session of the user. It is a cache: it is made when
-- a user reaches the limit, lasts an hour, and is made again if its size is not that of the user's part of the index.
local function ends(index, u)
  return string.sub(index, 1, 6) .. 'e' .. string.sub(index, 8) .. ':' .. redis.sha1hex(u)
end

-- Lets the index live at least as long as a session that was just slid. An index that is gone all the same comes back with this
-- one member: an instance of version 0.1.0, which touches without this, may have let it end. New TTLs may end the session
-- earlier than the ends say.
local function sustain(index, u, key, h, ttls)
  local left = redis.call('PTTL', index)
  if left == -2 then redis.pcall('ZADD', index, 0, member(u, h.created, key)) end
  if left < 0 or h.touched + left * 1000 < ending(h) then redis.call('PEXPIREAT', index, expiry(h)) end
  if ttls then redis.pcall('ZADD', ends(index, u), 'XX', 'LT', expiry(h), member(u, h.created, key)) end
end

local function enlist(index, u, key, h)
  local m, e = member(u, h.created, key), ends(index, u)
  redis.call('ZADD', index, 0, m)
  outlive(index, ending(h))
  if redis.call('EXISTS', e) == 1 then redis.call('ZADD', e, expiry(h), m) end
  -- Users who never return leave dead members behind. Three checks for each member added keep those under a third.
  local prefix = string.sub(key, 1, -NAME - 1)
  for _, other in ipairs(redis.call('ZRANDMEMBER', index, 3)) do
    local _, h = indexed(prefix, other)
    if not h then redis.call('ZREM', index, other) end
  end
end

local function delist(index, u, created, key)
  local m = member(u, created, key)
  redis.call('ZREM', index, m)
  redis.call('ZREM', ends(index, u), m)
end

-- Puts a tombstone in place of a session; its life is in milliseconds.
local function bury(index, key, h, id, life)
  local u = user(key, h)
  if u ~= '' then delist(index, u, h.created, key) end
  push(h, id)
  -- It holds nothing that a MAC could bind, so that it stays in the format that all versions read.
  h.format, h.mac, h.kind, h.user, h.meta = 1, '', TOMBSTONE, 0, 0
  local set = redis.pcall('SET', key, encode(h), 'PX', life)
  if set.err then redis.call('DEL', key) end -- out of memory: a logout must work all the same, if without a tombstone
end

-- Puts a tombstone where there is no session, so that a create still under way cannot take effect after the delete.
local function forestall(key, id, life)
  local t = now()
  local h = {format = 1, mac = '', kind = TOMBSTONE, version = 1, created = t, touched = t, idle = 0, deadline = t,
    writes = id .. string.rep('\0', 24), user = 0, meta = 0}
  redis.pcall('SET', key, encode(h), 'PX', life) -- fails out of memory, when no create succeeds either
end

-- How many members of the user the index has. Some may be of sessions that have ended.
local function listed(index, u)
  return redis.call('ZLEXCOUNT', index, span(u))
end

-- Makes the ends of a user's sessions anew, and removes the members of sessions that have ended.
local function survey(index, prefix, u)
  local e = ends(index, u)
  redis.call('DEL', e)
  for _, m in ipairs(members(index, u, '', CHECKED)) do
    local _, h = indexed(prefix, m, u)
    if h then
      redis.call('ZADD', e, expiry(h), m)
    else
      redis.call('ZREM', index, m)
    end
  end
  redis.call('PEXPIRE', e, 3600000)
end

-- Removes members of sessions that have ended until the user has fewer than limit. A session that turns out to live on gets its
-- new end, so that it is looked at again only when that has passed. Returns how many members are left.
local function sweep(index, prefix, u, limit)
  local n = listed(index, u)
  if n < limit then return n end
  local e = ends(index, u)
  if redis.call('ZCARD', e) ~= n then
    survey(index, prefix, u)
    return listed(index, u)
  end
  local past = redis.call('ZRANGEBYSCORE', e, '-inf', string.format('%.0f', now() / 1000), 'LIMIT', 0, CHECKED)
  for _, m in ipairs(past) do
    local _, h = indexed(prefix, m, u)
    if h then
      redis.call('ZADD', e, expiry(h), m)
    else
      n = n - redis.call('ZREM', index, m)
      redis.call('ZREM', e, m)
      if n < limit then break end
    end
  end
  return n
end

-- Makes room for one more session of the user. Returns false if there is none and evict is false. A user who is far above the
-- limit, because it was lowered, comes down to it over several calls.
local function room(index, prefix, u, limit, evict, id, life)
  local n = sweep(index, prefix, u, limit)
  if n < limit then return true end
  if not evict then return false end
  for _, m in ipairs(members(index, u, '', math.min(n - limit + 1, EVICTED))) do
    local key, h = indexed(prefix, m, u)
    if h then bury(index, key, h, id, life) else redis.call('ZREM', index, m) end
  end
  return true
end

-- Stores a new record and fills in its times; max is the max TTL in microseconds. Without an index, no list shows it.
local function insert(index, key, record, max)
  local t = now()
  local stored = string.sub(record, 1, 10) .. bytes(t) .. bytes(t) .. string.sub(record, 27, 34) .. bytes(t + max)
    .. string.sub(record, 43)
  local expires = math.ceil((t + math.min(number(record, 27), max)) / 1000)
  redis.call('SET', key, stored, 'PXAT', string.format('%.0f', expires))
  local h = load(key)
  local u = user(key, h)
  if index and u ~= '' then enlist(index, u, key, h) end
  return {'ok', clear(key, h)}
end
