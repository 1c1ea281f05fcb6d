-- Tells which commands the user may not run, without running them (redis.acl_check_cmd, since Redis 7.0).
--
-- ARGV  commands with their arguments, separated by blanks
-- The reply is the positions of those that the user may not run.
if not redis.acl_check_cmd then return redis.error_reply('ERR this engine does not tell what a user may run') end
local denied = {}
for i, command in ipairs(ARGV) do
	local words = {}
	for word in string.gmatch(command, '%S+') do table.insert(words, word) end
	local known, may = pcall(redis.acl_check_cmd, unpack(words))
	if known and not may then table.insert(denied, i) end
end
return denied
