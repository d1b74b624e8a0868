// Search in pages that are opened from disk, where browsers start no worker: the worker's script runs in a hidden frame.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      this.ready = new Promise((resolve, reject) => {
        frame.addEventListener("load", () => {
          const inside = frame.contentWindow
          inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
          inside.importScripts = async (...urls) => {
            for (const each of urls) await load(inside, each)
          }
          inside.importScripts(url).then(() => resolve(inside), reject)
        }, { once: true })
      })
      document.documentElement.append(frame)
    }

    postMessage(data) {
      this.ready.then(inside => inside.dispatchEvent(new inside.MessageEvent("message", { data })))
    }
  }

function load(inside, url) {
  return new Promise((resolve, reject) => {
    const script = inside.document.createElement("script")
    Object.assign(script, { src: url, onload: resolve, onerror: reject })
    inside.document.body.append(script)
  })
}
