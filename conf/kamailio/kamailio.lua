-- SPDX-License-Identifier: BSD-2-Clause
--
-- kamailio.lua: the routes of kamailio.cfg in Lua (KEMI), loaded by kamailio-lua.cfg. The comments
-- on why are there; the names are the same.

-- The settings of kamailio.cfg, read when the first message needs them.
local setting = setmetatable({}, {
	__index = function(known, name)
		known[name] = KSR.kx.get_def(name)
		return known[name]
	end,
})

local RECORD_ROUTED = { INVITE = true, SUBSCRIBE = true, REFER = true }

local function gm()
	return setting.GM_ADDRESS .. ":" .. setting.GM_PORT_PS
end

local function mw()
	return setting.MW_ADDRESS .. ":" .. setting.MW_PORT
end

local function from_core()
	return KSR.pv.get("$sel(dst.port)") == setting.MW_PORT
end

local function method()
	return KSR.kx.get_method()
end

-- ---- the daemon ----

-- A field of an answer as text, nil when it has none.
local function field(answer, path)
	if KSR.jansson.get(path, answer, "$var(field)") < 0 then
		return nil
	end
	return tostring(KSR.pv.get("$var(field)"))
end

local function decoded(answer)
	KSR.jansson.get("message_base64", answer, "$var(message)")
	return KSR.pv.get("$(var(message){s.decode.base64})")
end

-- The message that passes, with @more of JSON. Returns the verdict and the answer; without an
-- answer nothing passes.
local function ask(name, more)
	local params = '{"message_base64":"' .. KSR.pv.get("$(mb{s.encode.base64})") .. '"'
		.. more .. "}"
	local answer
	if KSR.ndb_redis.redis_cmd_p1("secagreed", name .. " %s", params, "answer") >= 0 then
		answer = KSR.pv.get("$redis(answer=>value)")
	end
	local verdict = answer and field(answer, "verdict") or "drop"
	if verdict ~= "forward" then
		KSR.notice(name .. " " .. method() .. " from " .. KSR.pv.get("$si") .. ": " .. verdict
			.. ": " .. (answer and field(answer, "why") or "secagreed does not answer") .. "\n")
	end
	return verdict, answer
end

-- Where a message of a phone came from and to.
local function places()
	return string.format(',"source":{"address":"%s","port":%d},"destination":{"address":"%s",'
		.. '"port":%d},"transport":"%s"', KSR.pv.get("$si"), KSR.pv.get("$sp"),
		KSR.pv.get("$sel(dst.ip)"), KSR.pv.get("$sel(dst.port)"), KSR.pv.get("$proto"))
end

-- ---- requests ----

-- Over UDP responses leave from port_pc, and go to port_us (TS 33.203 7.1).
local function way_back(port)
	if KSR.pv.get("$proto") == "udp" then
		KSR.corex.set_recv_socket("udp:" .. setting.GM_ADDRESS .. ":" .. port)
	end
end

-- The daemon's own answer, with the two headers that it may have.
local function refuse(answer)
	local message = decoded(answer)
	for _, name in ipairs({ "Security%-Server", "Require" }) do
		local line = message:match("\r\n(" .. name .. ": [^\r]*\r\n)")
		if line then
			KSR.hdr.append_to_reply(line)
		end
	end
	local code, phrase = field(answer, "reply.code"), field(answer, "reply.phrase")
	way_back(field(answer, "send_from.port"))
	KSR.sl.sl_send_reply(tonumber(code), phrase)
end

local function record_route()
	if not RECORD_ROUTED[method()] then
		return
	end
	if from_core() then
		KSR.rr.record_route_preset(gm() .. ";r2=on", mw() .. ";r2=on")
	else
		KSR.rr.record_route_preset(mw() .. ";r2=on", gm() .. ";r2=on")
	end
end

local function relay()
	if KSR.tm.t_relay() < 0 then
		KSR.sl.sl_reply_error()
	end
end

-- The phone goes the way, and has the identity, that its registration gave it.
local function initial(answer)
	local set = field(answer, "set")
	local wanted = KSR.pv.getw("$(hdr(P-Preferred-Identity){nameaddr.uri})")
	local identity, i = nil, 0
	repeat
		local one = field(answer, "impu[" .. i .. "]")
		if i == 0 or one == wanted then
			identity = one
		end
		i = i + 1
	until not one
	KSR.hdr.remove("P-Preferred-Identity")
	if identity then
		KSR.hdr.append("P-Asserted-Identity: <" .. identity .. ">\r\n")
	end
	local route = set and KSR.htable.sht_get("service", set) or "<" .. setting.HOME_URI .. ";lr;orig>"
	KSR.hdr.remove("Route")
	KSR.hdr.append("Route: " .. route .. "\r\n")
	KSR.pv.sets("$du", route:match("<([^>]*)>"))
	record_route()
end

local function network(answer)
	KSR.hdr.remove("P-Asserted-Identity")
	if method() == "CANCEL" then
		if KSR.tm.t_check_trans() <= 0 then
			return
		end
	elseif method() == "REGISTER" then
		KSR.hdr.remove("Route")
		KSR.hdr.remove("Path")
		KSR.hdr.remove("P-Visited-Network-ID")
		KSR.hdr.append("Path: <sip:" .. mw() .. ";lr>\r\n")
		KSR.hdr.append("Require: path\r\n")
		KSR.hdr.append("P-Visited-Network-ID: " .. setting.VISITED_NETWORK .. "\r\n")
		KSR.pv.sets("$du", setting.HOME_URI)
	elseif KSR.siputils.has_totag() > 0 then
		if KSR.rr.loose_route() < 0 then
			if method() ~= "ACK" then
				KSR.sl.sl_send_reply(403, "Forbidden - No Route")
			end
			return
		end
	else
		initial(answer)
	end
	KSR.pv.sets("$fs", "udp:" .. mw())
	relay()
end

local function from_phone()
	local verdict, answer = ask("sip.request", places())
	if verdict == "reply" then
		refuse(answer)
	elseif verdict == "forward" then
		KSR.textopsx.msg_set_buffer(decoded(answer))
		way_back(field(answer, "reply_from.port"))
		network(answer)
	end
end

local function to_phone()
	local transport = KSR.pv.getw("$(ru{uri.transport}{s.tolower})") == "tcp" and "tcp" or "udp"
	local verdict, answer = ask("sip.request", ',"direction":"to-phone","transport":"' .. transport
		.. '"')
	if verdict == "reply" and method() ~= "ACK" then
		KSR.sl.sl_send_reply(480, "Temporarily Unavailable")
	end
	if verdict ~= "forward" then
		return
	end
	KSR.textopsx.msg_set_buffer(decoded(answer))
	KSR.rr.loose_route()
	if KSR.siputils.has_totag() < 0 then
		record_route()
	end
	KSR.set_advertised_port(setting.GM_PORT_PS)
	KSR.pv.sets("$du", "sip:" .. KSR.pv.get("$rd") .. ":" .. field(answer, "send_to.port")
		.. ";transport=" .. transport)
	KSR.pv.sets("$fs", transport .. ":" .. setting.GM_ADDRESS .. ":"
		.. field(answer, "send_from.port"))
	if method() == "CANCEL" and KSR.tm.t_check_trans() <= 0 then
		return
	end
	relay()
end

function ksr_request_route()
	if KSR.maxfwd.process_maxfwd(20) < 0 then
		KSR.sl.sl_send_reply(483, "Too Many Hops")
		return
	end
	if method() ~= "CANCEL" and KSR.tm.t_check_trans() >= 0 then
		return
	end
	if from_core() then
		to_phone()
	else
		from_phone()
	end
end

-- ---- responses ----

local function answer_to_phone()
	local transport = KSR.pv.getw("$(sel(via[2].transport){s.tolower})")
	local verdict, answer = ask("sip.response", ',"transport":"' .. transport .. '"')
	if verdict == "drop" then
		KSR.set_drop()
		return
	end
	KSR.textopsx.msg_set_buffer(decoded(answer))

	local from = field(answer, "send_from.port")
	if transport == "udp" and from then
		KSR.pv.sets("$fs", "udp:" .. setting.GM_ADDRESS .. ":" .. from)
	elseif KSR.tm.t_check_trans() < 0 then
		KSR.set_drop()
		return
	end

	local route = KSR.pv.get("$(hdr(Service-Route)[*])")
	if method() == "REGISTER" and KSR.pv.get("$rs") == 200 and route then
		KSR.htable.sht_sets("service", field(answer, "set"), route)
	end
end

local function answer_of_phone()
	local verdict, answer = ask("sip.response", ',"direction":"from-phone"' .. places())
	if verdict == "drop" then
		KSR.set_drop()
		return
	end
	KSR.textopsx.msg_set_buffer(decoded(answer))
end

function ksr_reply_route()
	if KSR.pv.is_null("$sel(via[2])") then
		return
	end
	if from_core() then
		answer_to_phone()
	else
		answer_of_phone()
	end
end
