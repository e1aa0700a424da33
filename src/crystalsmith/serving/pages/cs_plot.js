// A plot of plotly that keeps to the width of its place, and asks for nothing where it is not to be seen.
export default {
  template: "<div></div>",
  props: { options: Object },
  async mounted() {
    let found;
    try {
      found = await import("nicegui-plotly");
    } catch {
      if (!this.gone) this.$el.textContent = "No plot: its script could not be loaded.";
      return;
    }
    if (this.gone) return; // something else took its place while the script, of megabytes, was on its way
    this.plotly = found.Plotly;
    this.update();
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.$el);
  },
  unmounted() {
    this.gone = true;
    this.observer?.disconnect();
  },
  methods: {
    update() {
      if (!this.plotly) return; // drawn with what is newest as soon as the script has come
      const config = JSON.stringify(this.options.config);
      if (config === this.config) {
        this.plotly.react(this.$el, this.options);
        return;
      }
      this.config = config;
      this.plotly.newPlot(this.$el, this.options);
      this.$el.on("plotly_click", (event) => this.tell(event));
    },
    fit() {
      // Plotly rejects, as an error of the page, what is hidden or has left it; what shows again is told anew.
      if (this.$el.offsetWidth) this.plotly.Plots.resize(this.$el);
    },
    tell(event) {
      this.$emit("plotly_click", { points: event.points.map(({ id, x, y }) => ({ id, x, y })) });
    },
  },
};
