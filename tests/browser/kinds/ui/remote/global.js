var kindsGlobal = {
  init() {},
  async get() {
    // As webpack loads its chunks: a script element with an address.
    await new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = new URL("chunk.js", kindsGlobal.base).href;
      script.onload = done;
      script.onerror = failed;
      document.head.append(script);
    });
    return () => ({ mount: (element) => void element.append(Object.assign(document.createElement("h1"), { textContent: window.kindsChunk })) });
  },
  base: document.currentScript.src,
};
