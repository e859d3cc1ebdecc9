// A pending call keeps the process alive until it has settled, and no longer.
const { brief } = require('./layer.cjs');
const { preconditioner, vector } = brief();
preconditioner.precondition(vector).then(({ iterations }) => console.log('settled after', iterations));
