// Replaces elkjs in the build, and loads it for the first layout.
module.exports = class LazyElk {
  async layout(graph, options) {
    this.elk ??= import('elkjs/lib/elk.bundled.js').then(({ default: Elk }) => new Elk());
    return (await this.elk).layout(graph, options);
  }
};
