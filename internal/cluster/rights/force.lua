-- Asks this replica for an election (CLUSTER FAILOVER FORCE), unless something has changed since the lease was asked for:
-- see rule 9 of package rights. A command that has been on its way for too long, or that reaches another process than
-- the one that was judged, does nothing.
--
-- ARGV  run ID, ID of the master, stream, least offset, deadline in milliseconds by the clock of this node, IDs of the masters,
--       sorted
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) >= tonumber(ARGV[5]) then return 'late' end
if string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') ~= ARGV[1] then return 'restarted' end
local master, masters = nil, {}
for text in string.gmatch(redis.call('CLUSTER', 'NODES'), '[^\n]+') do
	local id, flags, of, slots = string.match(text, '^(%S+) %S+ (%S+) (%S+) %S+ %S+ %S+ %S+ ?(.*)$')
	flags = ',' .. flags .. ','
	if string.find(flags, ',myself,', 1, true) then master = of end
	if string.find(flags, ',master,', 1, true) and string.match(slots, '^%d+') then table.insert(masters, id) end
end
table.sort(masters)
if master ~= ARGV[2] then return 'another master' end
if table.concat(masters, ' ') ~= ARGV[6] then return 'other masters' end
local replication = redis.call('INFO', 'replication')
if string.match(replication, 'master_replid:(%x+)') ~= ARGV[3] then return 'another stream' end
local offset = string.match(replication, 'slave_repl_offset:(%d+)')
if not offset or tonumber(offset) < tonumber(ARGV[4]) then return 'behind' end
redis.call('CLUSTER', 'FAILOVER', 'FORCE')
return 'asked'
