// A table that is sorted, filtered and paged by the server; headings are buttons, rows open by a button of theirs.
export default {
  template: `
    <div class="stack tight">
      <div class="row ends low">
        <div class="field filter">
          <label :for="name + '-filter'">Filter</label>
          <input class="cs" type="search" :id="name + '-filter'" :value="filter" :placeholder="example" maxlength="200"
            autocomplete="off" spellcheck="false" :aria-describedby="name + '-said'" :aria-invalid="fault ? 'true' : null"
            @input="$emit('filter', $event.target.value)" />
        </div>
        <span :id="name + '-said'" role="status" class="number" :class="fault ? 'fault' : 'quiet'">{{ fault || said }}</span>
      </div>
      <div class="scroll" tabindex="0" role="region" :aria-label="caption">
        <table class="cs run">
          <caption class="unseen">{{ caption }}</caption>
          <thead><tr>
            <th v-if="ticks" scope="col" class="text"><input type="checkbox" class="cs" aria-label="Choose all that are listed"
              :checked="all" @change="$emit('all', $event.target.checked)" /></th>
            <th v-for="column in columns" :key="column.key" scope="col" :class="{text: !column.numeric}"
              :aria-sort="sort === column.key ? (down ? 'descending' : 'ascending') : null">
              <button type="button" class="head" :title="column.about" @click="$emit('sort', column.key)">{{ column.label
                }}<span aria-hidden="true">{{ sort === column.key ? (down ? " ▾" : " ▴") : "" }}</span></button>
            </th>
          </tr></thead>
          <tbody>
            <tr v-for="row in rows" :key="row.name" :class="{chosen: row.name === open, able: row.able}"
              @click="row.able && $emit('open', row.name)">
              <td v-if="ticks" class="text" @click.stop><input type="checkbox" class="cs" :disabled="!row.able"
                :aria-label="'Choose ' + row.name" :checked="row.ticked"
                @change="$emit('tick', row.name, $event.target.checked)" /></td>
              <td v-for="(cell, place) in row.cells" :key="place" :class="{text: !columns[place].numeric}">
                <button v-if="place === first && row.able" type="button" class="open" @click.stop="$emit('open', row.name)"
                  :aria-label="'Show ' + row.name" :aria-pressed="row.name === open"><span v-html="cell"></span></button>
                <span v-else v-html="cell"></span>
              </td>
            </tr>
          </tbody>
        </table>
        <p v-if="!rows.length" class="empty">{{ none }}</p>
      </div>
      <div v-if="pages > 1" class="row">
        <button type="button" class="cs" :disabled="page === 0" @click="$emit('page', page - 1)">Previous</button>
        <span class="number">Page {{ page + 1 }} of {{ pages }}</span>
        <button type="button" class="cs" :disabled="page + 1 >= pages" @click="$emit('page', page + 1)">Next</button>
      </div>
    </div>`,
  props: {
    name: String,
    caption: String,
    columns: Array,
    rows: Array,
    first: Number,
    sort: String,
    down: Boolean,
    filter: String,
    example: String,
    fault: String,
    said: String,
    none: String,
    page: Number,
    pages: Number,
    open: String,
    ticks: Boolean,
    all: Boolean,
  },
};
