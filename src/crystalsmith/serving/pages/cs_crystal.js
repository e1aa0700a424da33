// A rotatable crystal: the viewer that reports and notebooks have too, as an element of a page.
let viewer = null;
const linked = {};

export default {
  template: `<div class="crystal" :style="{height: height + 'px'}"><p v-if="fault" class="quiet small">{{ fault }}</p></div>`,
  props: {
    src: String,
    scene: Object,
    height: Number,
    options: Object,
    link: String,
  },
  data() {
    return { fault: "" };
  },
  async mounted() {
    try {
      viewer ??= import(this.src);
      const { show } = await viewer;
      if (!this.$el.isConnected) return;
      this.view = Vue.markRaw(show(this.$el, this.scene, { ...this.options, onCamera: (camera) => this.tell(camera) }));
      if (this.link) (linked[this.link] ??= new Set()).add(this);
    } catch (error) {
      console.error(error);
      this.fault = "No picture: this browser cannot draw in three dimensions (WebGL).";
    }
  },
  unmounted() {
    if (this.link) linked[this.link]?.delete(this);
    this.view?.dispose();
  },
  watch: {
    scene(next) {
      this.view?.update(next, { keepCamera: false });
    },
  },
  methods: {
    tell(camera) {
      if (!this.link) return;
      for (const other of linked[this.link] ?? []) if (other !== this) other.view?.setCamera(camera);
    },
    play(frames) {
      this.view?.play(frames, { loop: false });
    },
  },
};
