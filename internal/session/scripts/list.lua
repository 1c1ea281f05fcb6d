-- KEYS: index. ARGV: what the sessions' keys begin with, user, member to start behind ('' for the first), how many.
-- Answers 'cursor' if the member is another user's; or 'ok', the member to go on behind ('' at the end), and a name and
-- a clear part for each session.
local prefix, u, after, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

if after ~= '' and string.sub(after, 1, 8) ~= owner(u) then return {'cursor'} end
local reply, found, last = {'ok', ''}, 0, ''
for _, m in ipairs(members(KEYS[1], u, after)) do
  local key, h = indexed(prefix, m, u)
  if h and found == limit then
    reply[2] = last
    break
  elseif h then -- the dead are skipped, and removed by who adds to the index: a replica may run this
    found, last = found + 1, m
    reply[#reply + 1] = string.sub(m, -NAME)
    reply[#reply + 1] = clear(key, h)
  end
end
return reply
