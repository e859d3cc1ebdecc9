const { brief } = require('./layer.cjs');
const { preconditioner, vector } = brief();
(async () => {
  const pending = preconditioner.precondition(vector);
  const moved = structuredClone(vector, { transfer: [vector.buffer] }); // the memory lives on in its new owner
  const { reason } = await pending;
  console.log(reason, vector.length, moved.length);
})();
