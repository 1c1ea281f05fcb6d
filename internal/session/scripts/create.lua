-- KEYS: session. ARGV: write id, max TTL (microseconds), record whose times are not filled in.
local id, max, record = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local h = load(KEYS[1])
if h then
  if h.kind == TOMBSTONE then return {'revoked'} end
  if wrote(h, id) then return {'again', redis.call('GET', KEYS[1])} end
  return {'exists'}
end

local t = now()
local stored = string.sub(record, 1, 10) .. bytes(t) .. bytes(t) .. string.sub(record, 27, 34) .. bytes(t + max)
  .. string.sub(record, 43)
local expires = math.ceil((t + math.min(number(record, 27), max)) / 1000)
redis.call('SET', KEYS[1], stored, 'PXAT', string.format('%.0f', expires))
return {'ok', clear(KEYS[1], load(KEYS[1]))}
