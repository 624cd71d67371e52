// What the server tells. A browser has six connections for a server, and each stream of events keeps
// one as long as it is heard; so all windows of a project hear one stream, through a shared worker,
// which is this same file.

// Of what was told before, the server tells only what has changed.
function merged(known, news) {
  const before = (id) => known.scans.find((scan) => scan.id === id);
  return { ...news, scans: news.scans.map((scan) => ({ ...before(scan.id), ...scan })) };
}

// `hear` is given all that there is to know, after each change; null where nobody answers.
function follow(hear) {
  let state = { scans: [] };
  const events = new EventSource("/events");
  events.addEventListener("message", (event) => {
    state = merged(state, JSON.parse(event.data));
    hear(state);
  });
  events.addEventListener("error", () => hear(null));
  return events;
}

if (globalThis.SharedWorkerGlobalScope) {
  const windows = new Set();
  let [last, events] = [undefined, null];
  addEventListener("connect", ({ ports: [port] }) => {
    windows.add(port);
    if (events && events.readyState !== EventSource.CLOSED) {
      if (last !== undefined) port.postMessage(last);
      return;
    }
    events = follow((state) => {
      last = state;
      for (const each of windows) each.postMessage(state);
    });
  });
}

export function listen(hear) {
  if (!globalThis.SharedWorker) {
    follow(hear);
    return;
  }
  const worker = new SharedWorker("/assets/app_events.js", { type: "module" });
  worker.addEventListener("error", () => follow(hear), { once: true });
  worker.port.onmessage = ({ data }) => hear(data);
}
