// The playback position that all lanes share.

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** Dispatches "change" when its position, extent or state has changed. */
export class Player extends EventTarget {
  constructor() {
    super();
    this.unit = "rounds";
    this.position = 0;
    this.fraction = 0; // the part of the next round or step that has passed, for animations
    this.extent = 0;
    this.perSecond = 8;
    this.tour = null; // determines the speed of the first playback
    this.isPlaying = false;
  }

  /** Play from the start, or go to the end if the user prefers reduced motion. */
  restart(tour = null) {
    this.tour = null;
    if (reducedMotion.matches) this.seek(this.extent);
    else {
      this.position = this.fraction = 0;
      this.tour = tour;
      this.play();
    }
  }

  seek(position) {
    this.position = Math.min(this.extent, Math.max(0, position));
    this.fraction = 0;
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
    if (this.position >= this.extent) this.position = this.fraction = 0;
    if (!this.isPlaying && this.extent) {
      this.isPlaying = true;
      this._lastFrame = null;
      requestAnimationFrame((now) => this._frame(now));
    }
    this._changed();
  }

  pause() {
    this.isPlaying = false;
    this.tour = null;
    this._changed();
  }

  /** Set the length of the longest lane. A position at the end stays at the end. */
  setExtent(extent) {
    const wasAtEnd = this.position >= this.extent && this.extent > 0;
    this.extent = extent;
    if (!extent) this.isPlaying = false;
    if (wasAtEnd && !this.isPlaying) this.seek(extent);
    else if (this.position > extent) this.seek(extent);
    else this._changed();
  }

  _frame(now) {
    if (!this.isPlaying) return;
    const speed = this.tour?.speedAt(this.position) ?? this.perSecond;
    const time = this.position + this.fraction + ((now - (this._lastFrame ?? now)) * speed) / 1000;
    this._lastFrame = now;
    this.position = Math.min(this.extent, Math.floor(time));
    this.isPlaying = this.position < this.extent;
    this.fraction = this.isPlaying ? time - this.position : 0;
    this._changed();
    if (this.isPlaying) requestAnimationFrame((next) => this._frame(next));
    else this.tour = null;
  }

  _changed() {
    this.dispatchEvent(new Event("change"));
  }
}
