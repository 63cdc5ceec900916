// Follows /ws/events. A lost connection is told at once and tried again, ever less often.
const LONGEST_PAUSE = 15000;

export function follow({ snapshot, connection, loggedOut }) {
  let socket = null;
  let timer = 0;
  let pause = 500;
  let stopped = false;

  function connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/ws/events`);
    socket.addEventListener("message", receive);
    socket.addEventListener("close", lost);
  }

  function receive(event) {
    if (stopped) return;
    const said = JSON.parse(event.data);
    if (said.error) {
      connection("broken", said.error.what);
      return;
    }
    pause = 500;
    connection("live", "Live");
    snapshot(said);
  }

  async function lost() {
    if (stopped) return;
    connection("broken", "Not connected: what you see may be old");
    // A browser does not tell why a WebSocket was refused, so the session is asked for.
    const answer = await fetch("/api/session").catch(() => null);
    if (stopped) return;
    if (answer && answer.status === 401) {
      loggedOut();
      return;
    }
    timer = setTimeout(connect, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }

  connection("waiting", "Connecting");
  connect();
  return () => {
    stopped = true;
    clearTimeout(timer);
    socket.close();
  };
}
