-- What all scripts share: the header of a record. It stands before each of them when they are loaded.
-- The offsets are those of record.go, one higher because Lua counts from 1; they change together.

local HEADER, FORMAT = 78, 1
local LIVE, TOMBSTONE = 1, 2

-- Big-endian, 64 bits. A Lua number is exact up to 2^53, and microseconds stay below that until the year 2255.
local function number(s, at)
  local n = 0
  for i = at, at + 7 do n = n * 256 + string.byte(s, i) end
  return n
end

local function bytes(n)
  local b = {}
  for i = 8, 1, -1 do
    b[i] = n % 256
    n = (n - b[i]) / 256
  end
  return string.char(unpack(b))
end

-- Redis' clock, in microseconds: the instances of the service need not agree on the time.
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- The header at key, or nil if there is no record.
local function load(key)
  local s = redis.call('GETRANGE', key, 0, HEADER - 1)
  if #s == 0 then return nil end
  if #s < HEADER or string.byte(s, 1) ~= FORMAT then
    error('unknown record format at ' .. key)
  end
  return {
    kind = string.byte(s, 2),
    stamp = string.sub(s, 3, 18), -- version and created
    version = number(s, 3),
    created = number(s, 11),
    touched = number(s, 19),
    idle = number(s, 27),
    deadline = number(s, 35),
    writes = string.sub(s, 43, 74),
    lengths = string.sub(s, 75, 78), -- of user and meta
    user = string.byte(s, 75) * 256 + string.byte(s, 76),
    meta = string.byte(s, 77) * 256 + string.byte(s, 78),
  }
end

local function encode(h)
  return string.char(FORMAT, h.kind) .. bytes(h.version) .. bytes(h.created) .. bytes(h.touched) .. bytes(h.idle)
    .. bytes(h.deadline) .. h.writes .. h.lengths
end

-- When the key has to expire, in milliseconds for Redis. Rounded up: never early.
local function expiry(h)
  return string.format('%.0f', math.ceil(math.min(h.touched + h.idle, h.deadline) / 1000))
end

local function clear(key, h)
  return redis.call('GETRANGE', key, 0, HEADER + h.user + h.meta - 1)
end

-- Whether the write was applied before.
local function wrote(h, id)
  for i = 1, #h.writes, 8 do
    if string.sub(h.writes, i, i + 7) == id then return true end
  end
  return false
end

local function push(h, id)
  h.writes = id .. string.sub(h.writes, 1, -9)
  h.version = h.version + 1
end

-- Whether the record meets the condition: '' is none, otherwise '=' and the stamps of which it must have one.
local function meets(h, guard)
  if guard == '' then return true end
  for i = 2, #guard, 16 do
    if string.sub(guard, i, i + 15) == h.stamp then return true end
  end
  return false
end

-- Slides the idle deadline, with new TTLs (microseconds) unless they are ''. An idle TTL alone that is above the
-- absolute one raises that. False if the session would be over at once.
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
