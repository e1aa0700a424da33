// A file that the user chooses or drops; it goes straight to the server, which gives it an id.
export default {
  template: `
    <div class="field">
      <label :for="name">{{ label }}</label>
      <div class="drop" :class="{over: over}" @dragover.prevent="over = true" @dragleave="over = false" @drop.prevent="drop">
        <input :id="name" type="file" class="cs" :accept="accept" :aria-describedby="name + '-said'" @change="choose"
          :aria-invalid="fault ? 'true' : null" />
        <span class="hint small">{{ hint }}</span>
      </div>
      <span :id="name + '-said'" :class="fault ? 'fault' : 'hint'" role="status">{{ fault || said || " " }}</span>
    </div>`,
  props: { name: String, label: String, hint: String, accept: String, url: String, most: Number },
  data() {
    return { over: false, fault: "", said: "" };
  },
  methods: {
    choose(event) {
      if (event.target.files.length) this.send(event.target.files[0]);
    },
    drop(event) {
      this.over = false;
      const file = event.dataTransfer.files[0];
      if (file) this.send(file);
    },
    async send(file) {
      this.fault = "";
      this.said = `reading ${file.name} …`;
      this.$emit("begun");
      if (file.size > this.most) {
        this.fault = `${file.name} has ${Math.ceil(file.size / 1e6)} MB; at most ${Math.floor(this.most / 1e6)} MB`;
        return;
      }
      try {
        const address = `${this.url}&name=${encodeURIComponent(file.name.slice(0, 200))}`;
        const headers = { "Content-Type": "application/octet-stream" };
        const answer = await fetch(address, { method: "POST", body: file, headers });
        const found = await answer.json().catch(() => ({}));
        if (!answer.ok) {
          this.fault = found.error || `the server refused ${file.name} (${answer.status})`;
          return;
        }
        this.said = found.words || file.name;
        this.$emit("uploaded", found);
      } catch (error) {
        this.fault = "the server does not answer; try again";
      }
    },
  },
};
