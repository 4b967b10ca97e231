// Stands in for elkjs wherever it is imported, and loads it at the first layout.
module.exports = class LazyElk {
  async layout(graph, options) {
    this.elk ??= import('elkjs/lib/elk.bundled.js').then(({ default: Elk }) => new Elk());
    return (await this.elk).layout(graph, options);
  }
};
