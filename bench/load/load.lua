-- Sends the requests of a file, one a line: METHOD <tab> path <tab> body. Every thread takes its own share of the lines.
-- Arguments: the file, then "cycle" (again from the start) or "once" (stop when the lines are used up), then the mean pause in
-- milliseconds between two requests of a connection (0: none), the number of threads, and a path that may be asked for at the end.
-- Prints one line of JSON with what was measured.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local file, mode, pause = args[1], args[2], tonumber(args[3] or "0")
  local of = tonumber(args[4])
  once = mode == "once"
  requests, at = {}, 0
  local line_number = 0
  for line in io.lines(file) do
    if line_number % of == number then
      local method, path, body = line:match("^(%u+)\t([^\t]+)\t?(.*)$")
      local headers = {}
      for name, value in pairs(wrk.headers) do headers[name] = value end
      if body ~= "" then headers["Content-Type"] = "application/json" else body = nil end
      requests[#requests + 1] = wrk.format(method, path, headers, body)
      last = path
    end
    line_number = line_number + 1
  end
  if once and last then
    -- a connection may still send one after the others were told to stop: something that changes nothing
    local given = args[5] or ""
    harmless = wrk.format("GET", given ~= "" and given or last:match("^(.*)/[^/]+$"))
  end
  if pause > 0 then
    math.randomseed(number + 1)
    delay = function() return math.random(0, 2 * pause) end
  end
end

function request()
  at = at + 1
  if at > #requests then
    if once then
      wrk.thread:stop()
      return harmless
    end
    at = 1
  end
  return requests[at]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "bytes": %d, "p50": %.3f, "p90": %.3f, "p99": %.3f, "longest": %.3f, "refused": %d, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    latency:percentile(50) / 1000, latency:percentile(90) / 1000, latency:percentile(99) / 1000, latency.max / 1000,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
