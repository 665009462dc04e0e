// The playback position that all lanes share.

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** Dispatches "change" when its position, extent or state has changed. */
export class Player extends EventTarget {
  constructor() {
    super();
    this.unit = "rounds";
    this.position = 0;
    this.extent = 0;
    this.perSecond = 15;
    this.isPlaying = false;
  }

  /** Play from the start, or go to the end if the user prefers reduced motion. */
  restart() {
    if (reducedMotion.matches) this.seek(this.extent);
    else {
      this.position = 0;
      this.play();
    }
  }

  seek(position) {
    this.position = Math.min(this.extent, Math.max(0, position));
    this._changed();
  }

  step(by) {
    this.pause();
    this.seek(this.position + by);
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    if (this.position >= this.extent) this.position = 0;
    if (!this.isPlaying && this.extent) {
      this.isPlaying = true;
      this._lastFrame = null;
      this._elapsed = 0;
      requestAnimationFrame((now) => this._frame(now));
    }
    this._changed();
  }

  pause() {
    this.isPlaying = false;
    this._changed();
  }

  /** Set the length of the longest lane. A position at the end stays at the end. */
  setExtent(extent) {
    const wasAtEnd = this.position >= this.extent && this.extent > 0;
    this.extent = extent;
    if (!extent) this.isPlaying = false;
    this.seek(wasAtEnd && !this.isPlaying ? extent : this.position);
  }

  _frame(now) {
    if (!this.isPlaying) return;
    this._elapsed += ((now - (this._lastFrame ?? now)) * this.perSecond) / 1000;
    this._lastFrame = now;
    const steps = Math.floor(this._elapsed);
    if (steps) {
      this._elapsed -= steps;
      this.position = Math.min(this.extent, this.position + steps);
      this.isPlaying = this.position < this.extent;
      this._changed();
    }
    if (this.isPlaying) requestAnimationFrame((next) => this._frame(next));
  }

  _changed() {
    this.dispatchEvent(new Event("change"));
  }
}
