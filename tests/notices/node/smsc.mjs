// An SMSC of the npm package `smpp`. Reads how to behave from standard input, tells on standard output what it saw:
// one JSON object a line in both directions.
import { createInterface } from "node:readline";
import smpp from "smpp";

const [port] = process.argv.slice(2).map(Number);
let next = 0xa1;
let sessions = 0;
// What to do with the next binds and submissions; the last one stays.
const behave = { bind: ["ok"], submit: ["ok"], receipts: true, state: "DELIVRD", response: "text", receipt: "text", tlv: false };
const waiting = []; // receipts that nobody was bound for
let bound; // the session that was bound last
const tell = (event, fields = {}) => console.log(JSON.stringify({ event, ...fields }));
const turn = (list) => (list.length > 1 ? list.shift() : list[0]);
const written = (id, notation) => (notation === "hex" ? id.toString(16).toUpperCase() : notation === "decimal" ? String(id) : `M${id}`);

function receipt(pdu, id) {
  const text = `id:${written(id, behave.receipt)} sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:${behave.state} err:000 text:`;
  const fields = { source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4, data_coding: 0, short_message: text };
  if (behave.tlv) Object.assign(fields, { receipted_message_id: written(id, behave.response), message_state: 2, short_message: "" });
  if (!bound?.socket.writable) return void waiting.push([pdu, id]);
  const session = bound;
  const lost = () => receipt(pdu, id); // without an answer it is sent again to whoever is bound then
  session.once("close", lost);
  session.deliver_sm(fields, (answer) => {
    session.off("close", lost);
    tell("receipt answered", { session: session.number, status: answer.command_status });
  });
}

function submitted(session, pdu) {
  const how = turn(behave.submit);
  const message = pdu.short_message;
  const taken = how === "ok" || how === "take and drop" || how === "take and hang" || how === "receipt first" || how === "garbage first";
  tell("submit", {
    session: session.number, how, taken, to: pdu.destination_addr, from: pdu.source_addr, ton: pdu.source_addr_ton,
    data_coding: pdu.data_coding, esm_class: pdu.esm_class, text: message.message,
    udh: message.udh ? Buffer.concat(message.udh).toString("hex") : null, registered_delivery: pdu.registered_delivery,
  });
  if (how === "drop" || how === "take and drop") return session.destroy();
  if (how === "hang" || how === "take and hang") return undefined;
  if (typeof how === "number") return session.send(pdu.response({ command_status: how }));
  const id = next++;
  if (how === "garbage first") { // a deliver_sm whose optional parameter ends beyond the PDU, and an unknown command
    const body = Buffer.concat([Buffer.from("\0\x01\x01123\0\x01\x01456\0\x04\0\0\0\0\0\0\0\0\0", "latin1"), Buffer.from([4, 0x27, 0, 1])]);
    for (const [command, rest] of [[5, body], [0x10203, body]]) {
      const head = Buffer.alloc(16);
      [16 + rest.length, command, 0, 7000 + command].forEach((value, place) => head.writeUInt32BE(value, 4 * place));
      session.socket.write(Buffer.concat([head, rest]));
    }
  }
  if (how === "receipt first") receipt(pdu, id);
  session.send(pdu.response({ message_id: written(id, behave.response) }));
  if ((how === "ok" || how === "garbage first") && behave.receipts) setTimeout(() => receipt(pdu, id), 20);
  return undefined;
}

const server = smpp.createServer((session) => {
  session.on("error", () => session.destroy());
  session.on("bind_transceiver", (pdu) => {
    const how = turn(behave.bind);
    tell("bind", { how, system_id: pdu.system_id, password: pdu.password });
    if (how === "hang") return;
    if (how === "drip") {  // a length, and then nothing more
      session.socket.write(Buffer.from([0, 0, 0, 40]));
      const drip = setInterval(() => session.socket.writable && session.socket.write(Buffer.from([0])), 300);
      session.on("close", () => clearInterval(drip));
      return;
    }
    session.send(pdu.response(typeof how === "number" ? { command_status: how } : { system_id: "SMSC" }));
    if (how !== "ok") return;
    bound = session;
    session.number = ++sessions;
    for (const [about, id] of waiting.splice(0)) setTimeout(() => receipt(about, id), 20);
  });
  session.on("deliver_sm_resp", (pdu) => pdu.sequence_number > 7000 && tell("garbage answered", { status: pdu.command_status }));
  session.on("generic_nack", (pdu) => tell("garbage answered", { status: pdu.command_status }));
  session.on("enquire_link", (pdu) => { tell("enquire"); session.send(pdu.response()); });
  session.on("unbind", (pdu) => { tell("unbind"); session.send(pdu.response()); session.close(); });
  session.on("submit_sm", (pdu) => submitted(session, pdu));
});
server.listen(port, "127.0.0.1", () => tell("listening"));
createInterface({ input: process.stdin }).on("line", (line) => { Object.assign(behave, JSON.parse(line)); tell("behaves"); });
