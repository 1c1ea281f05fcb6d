#!lua flags=allow-oom
-- What one register does: it opens itself, makes a mark, or grants a lease. The rules and their reasons are in the comment
-- of package rights, which refers to them by number.
--
-- KEYS[1]  the register: a hash in the lowest slot of this master
-- ARGV     operation, ID of this master, that slot, accounted epoch, masters of the asker's view (empty to leave no seal),
--          then by operation:
--          open   'new' if the cluster is, so that nothing can have been forgotten
--          mark   ID of the master, node timeout, the longest time that a forgotten lease may last, IDs of the replicas
--          lease  ID of the replica, age of the evidence, duration
-- Times are in milliseconds by the clock of this node. The reply is a verdict and the seal.
local operation, id, slot, accounted, masters = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function get(field) return tonumber(redis.call('HGET', KEYS[1], field) or nil) end
local function set(field, value) redis.call('HSET', KEYS[1], field, string.format('%.0f', value)) end

-- line returns the flags, the time of the last pong, the slots and the ID of a node, as CLUSTER NODES has them.
local nodes = redis.call('CLUSTER', 'NODES')
local function line(wanted)
	for text in string.gmatch(nodes, '[^\n]+') do
		local id, flags, pong, slots = string.match(text, '^(%S+) %S+ (%S+) %S+ %S+ (%S+) %S+ %S+ ?(.*)$')
		flags = ',' .. (flags or '') .. ','
		if id == wanted or (wanted == 'myself' and string.find(flags, ',myself,', 1, true)) then return flags, tonumber(pong), slots, id end
	end
	return '', 0, '', ''
end
local function has(flags, flag) return string.find(flags, ',' .. flag .. ',', 1, true) ~= nil end

local cluster = redis.call('CLUSTER', 'INFO')
local current = tonumber(string.match(cluster, 'cluster_current_epoch:(%d+)'))
local function verdict(text)
	return {text, redis.call('HGET', KEYS[1], 'seal') or '-1', redis.call('HGET', KEYS[1], 'masters') or ''}
end

-- Rule 1: one register per master, whoever asks, and no node of another cluster that has this one's address now.
local _, _, own, self = line('myself')
if self ~= id or string.match(own, '^%d+') ~= slot then return {'elsewhere', '-1', ''} end

-- Rule 2: what another process, or this one in another role, has noted does not count.
local born = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') .. ':' .. string.match(cluster, 'cluster_my_epoch:(%d+)')
if redis.call('HGET', KEYS[1], 'born') ~= born then
	redis.call('DEL', KEYS[1])
	redis.call('HSET', KEYS[1], 'born', born)
	set('since', operation == 'open' and ARGV[6] == 'new' and 0 or now)
end
local since = get('since')

-- Rule 3: this node may have voted for somebody whom the asker does not know.
if current > accounted then return verdict('epoch') end

-- prune drops what was noted of replicas an hour ago. No evidence is that old, and no lease lasts as long.
local function prune()
	local all = redis.call('HGETALL', KEYS[1])
	for i = 1, #all, 2 do
		if string.find(all[i], ':', 1, true) and tonumber(all[i + 1]) < now - 3600000 then redis.call('HDEL', KEYS[1], all[i]) end
	end
end

-- An asker that still goes by former masters too leaves no seal: a newcomer would go by the new ones alone.
if masters ~= '' and accounted > (get('seal') or -1) then
	set('seal', accounted)
	redis.call('HSET', KEYS[1], 'masters', masters)
	prune()
end
if operation == 'open' then return verdict('granted') end

if operation == 'lease' then
	local replica, age, lasts = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
	if now - (get('wanted:' .. replica) or 0) < 1000 then return verdict('wanted') end
	if now - (get('marked:' .. replica) or 0) <= age then return verdict('marked') end
	if now - since <= age then return verdict('young') end
	set('until:' .. replica, math.max(get('until:' .. replica) or 0, now + lasts))
	return verdict('granted')
end

-- A mark. Whoever wants one has just seen the master alive, so a refused one is noted: see rule 6.
local master, timeout, forgotten = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local function each(prefix) for i = 9, #ARGV do set(prefix .. ARGV[i], now) end end
for i = 9, #ARGV do
	if (get('until:' .. ARGV[i]) or 0) > now then
		each('wanted:')
		return verdict('leased')
	end
end
if now - since < forgotten then
	each('wanted:')
	return verdict('young')
end
local flags, pong, slots = line(master)
local heard = has(flags, 'myself') or now - pong < timeout * 3 / 4
if not (has(flags, 'master') and string.match(slots, '^%d+') and heard) or has(flags, 'fail') or has(flags, 'fail?') then return verdict('unvouched') end
each('marked:')
return verdict('granted')
