// <talent-avatar> in React 19, which sets attributes of custom elements and listens to their events.
// Replace the address by that of your service: what TALENT_IMAGE_PUBLIC_URL says.
import "http://127.0.0.1:3001/embed/talent-avatar.js";
import { useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";

function Avatar({ talentId, name, size = 64, refreshUrl, onRefreshed }) {
  const avatar = useRef(null);
  useEffect(() => {
    const element = avatar.current;
    const listen = (event) => onRefreshed?.(event.detail);
    element.addEventListener("talent-avatar-refreshed", listen);
    return () => element.removeEventListener("talent-avatar-refreshed", listen);
  }, [onRefreshed]);
  return (
    <talent-avatar
      ref={avatar}
      talent-id={talentId}
      name={name}
      size={size}
      refreshable={refreshUrl ? "" : undefined}
      refresh-url={refreshUrl}
    />
  );
}

function App() {
  const [message, setMessage] = useState("none yet");
  return (
    <main>
      <h1>Talents</h1>
      <Avatar talentId="talent_1" name="Ada Lovelace" size={40} />
      <Avatar
        talentId="talent_1"
        name="Ada Lovelace"
        size={96}
        refreshUrl="/my-backend/talents/talent_1/refresh-photo"
        onRefreshed={(detail) => setMessage(detail.message)}
      />
      <p>
        Result: <output>{message}</output>
      </p>
    </main>
  );
}

createRoot(document.querySelector("#root")).render(<App />);
