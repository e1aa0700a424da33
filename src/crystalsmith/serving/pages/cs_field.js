// A labelled field of the browser's own kind: text, select, check or radio, with a hint and a fault.
export default {
  template: `
    <div v-if="kind === 'check'" class="check">
      <input class="cs" type="checkbox" :id="name" :checked="own" :disabled="disabled"
        :aria-describedby="hint ? name + '-hint' : null" @change="tell($event.target.checked)" />
      <div><label :for="name">{{ label }}</label>
        <span v-if="hint" class="hint" :id="name + '-hint'">{{ hint }}</span></div>
    </div>
    <fieldset v-else-if="kind === 'radio'" :disabled="disabled"><legend :class="{unseen: quiet}">{{ label }}</legend>
      <div class="choice"><label v-for="option in options" :key="option[0]">
        <input type="radio" :name="name" :value="option[0]" :checked="own === option[0]"
          @change="tell(option[0])" /><span>{{ option[1] }}</span></label></div>
    </fieldset>
    <div v-else class="field">
      <label :for="name" :class="{unseen: quiet}">{{ label }}</label>
      <select v-if="kind === 'select'" class="cs" :id="name" :disabled="disabled" :aria-describedby="described"
        @change="tell($event.target.value)">
        <option v-for="option in options" :key="option[0]" :value="option[0]"
          :selected="own === option[0]">{{ option[1] }}</option>
      </select>
      <input v-else class="cs" type="text" :id="name" :value="own" :placeholder="placeholder" :disabled="disabled"
        :inputmode="keys" autocomplete="off" autocapitalize="none" autocorrect="off" spellcheck="false"
        :maxlength="longest" :aria-invalid="fault ? 'true' : null" :aria-describedby="described"
        @input="tell($event.target.value)" @keydown.enter="$emit('enter')" />
      <span v-if="fault" class="fault" :id="name + '-fault'">{{ fault }}</span>
      <span v-else-if="hint" class="hint" :id="name + '-hint'">{{ hint }}</span>
    </div>`,
  props: {
    kind: String,
    name: String,
    label: String,
    value: null,
    options: Array,
    hint: String,
    fault: String,
    placeholder: String,
    keys: String,
    quiet: Boolean,
    disabled: Boolean,
    longest: Number,
  },
  data() {
    return { own: this.value };
  },
  computed: {
    described() {
      return this.fault ? this.name + "-fault" : this.hint ? this.name + "-hint" : null;
    },
  },
  watch: {
    value(next) {
      this.own = next;
    },
  },
  methods: {
    tell(next) {
      this.own = next;
      this.$emit("update:value", next);
    },
    updateValue() {
      this.own = this.value;
    },
  },
};
