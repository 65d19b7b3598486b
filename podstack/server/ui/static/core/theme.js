// Sets the theme before anything is drawn, so that nothing flashes. A classic script in the head.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("podstack-theme"); } catch { return null; } };
  const apply = () => {
    const choice = stored();
    document.documentElement.dataset.theme = choice === "light" || choice === "dark" ? choice : dark.matches ? "dark" : "light";
    document.dispatchEvent(new Event("podstack-theme"));
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  document.addEventListener("podstack-theme-choice", apply);
})();
