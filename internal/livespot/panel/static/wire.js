// Addresses of the interface. A token, where one is asked for, stands behind the # of the page and is kept nowhere else.

export function address(path) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  return token ? `${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(token)}` : path;
}

export function asked(path) {
  return fetch(address(path), { cache: "no-store" });
}
