// Where all lanes stand in time, and how time goes by.

const isStill = matchMedia("(prefers-reduced-motion: reduce)");

/** Dispatches "change" whenever something of it has changed. */
export class Player extends EventTarget {
  constructor() {
    super();
    this.unit = "rounds";
    this.position = 0;
    this.extent = 0;
    this.perSecond = 15;
    this.isPlaying = false;
  }

  /** A new sample: from the start, or all of it where nothing shall move by itself. */
  restart() {
    if (isStill.matches) this.seek(this.extent);
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
      this._then = null;
      this._due = 0;
      requestAnimationFrame((now) => this._frame(now));
    }
    this._changed();
  }

  pause() {
    this.isPlaying = false;
    this._changed();
  }

  /** How long the longest lane takes; who stood at the end stays there. */
  setExtent(extent) {
    const wasAtEnd = this.position >= this.extent && this.extent > 0;
    this.extent = extent;
    if (!extent) this.isPlaying = false;
    this.seek(wasAtEnd && !this.isPlaying ? extent : this.position);
  }

  _frame(now) {
    if (!this.isPlaying) return;
    this._due += ((now - (this._then ?? now)) * this.perSecond) / 1000;
    this._then = now;
    const whole = Math.floor(this._due);
    if (whole) {
      this._due -= whole;
      this.position = Math.min(this.extent, this.position + whole);
      this.isPlaying = this.position < this.extent;
      this._changed();
    }
    if (this.isPlaying) requestAnimationFrame((then) => this._frame(then));
  }

  _changed() {
    this.dispatchEvent(new Event("change"));
  }
}
