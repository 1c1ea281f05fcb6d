-- The library struct, which writes and reads several numbers in one call into C. Redis has it; an embedded Redis lacks it. What stands
-- in for it there knows what the scripts use: '>', B, H, I8, cN, and c0 to write a string as it is.
local struct = rawget(_G, 'struct')
if not struct then
  local SIZES = {B = 1, H = 2, I = 8}
  struct = {}

  function struct.unpack(format, s, at)
    local values = {}
    at = at or 1
    for option, size in string.gmatch(format, '(%a)(%d*)') do
      size = SIZES[option] or tonumber(size)
      local part = string.sub(s, at, at + size - 1)
      if option ~= 'c' then
        local n = 0
        for i = 1, size do n = n * 256 + string.byte(part, i) end
        part = n
      end
      values[#values + 1] = part
      at = at + size
    end
    values[#values + 1] = at
    return unpack(values)
  end

  function struct.pack(format, ...)
    local values, parts = {...}, {}
    for option in string.gmatch(format, '%a') do
      local value = values[#parts + 1]
      if option ~= 'c' then
        local text = ''
        for _ = 1, SIZES[option] do
          text = string.char(value % 256) .. text
          value = math.floor(value / 256)
        end
        value = text
      end
      parts[#parts + 1] = value
    end
    return table.concat(parts)
  end
end
