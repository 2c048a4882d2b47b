'use strict';
// Describes and runs tests as Mocha does, as far as the suite can tell. Control passes from test to test by setImmediate,
// never by a promise: what is tested must not decide what is run.

(() => {
  const kTimeout = 200; // milliseconds, as the suite's own runner has it

  process.on('unhandledRejection', () => {}); // the suite leaves many

  function makeSuite(title, parent) {
    return { title, parent, children: [], before: [], after: [], beforeEach: [], afterEach: [] };
  }
  const root = makeSuite('', undefined);
  let current = root;

  globalThis.describe = (title, body) => {
    const suite = makeSuite(title, current);
    current.children.push({ suite });
    current = suite;
    body();
    current = suite.parent;
  };
  globalThis.it = globalThis.specify = (title, body) => current.children.push({ title, body });
  for (const hook of ['before', 'after', 'beforeEach', 'afterEach']) {
    globalThis[hook] = (body) => current[hook].push({ title: `the ${hook} hook`, body });
  }

  function titleOf(suite, title) {
    return suite.parent === undefined ? title : titleOf(suite.parent, `${suite.title} ${title}`);
  }
  function around(suite, hook) {
    if (suite === undefined) return [];
    return hook === 'beforeEach' ? [...around(suite.parent, hook), ...suite[hook]]
      : [...suite[hook], ...around(suite.parent, hook)];
  }

  /// What is to be done, in order: tests with their hooks.
  function* steps(suite) {
    for (const hook of suite.before) yield { suite, ...hook };
    for (const child of suite.children) {
      if (child.suite !== undefined) {
        yield* steps(child.suite);
      } else {
        for (const hook of around(suite, 'beforeEach')) yield { suite, ...hook };
        yield { suite, ...child, isTest: true };
        for (const hook of around(suite, 'afterEach')) yield { suite, ...hook };
      }
    }
    for (const hook of suite.after) yield { suite, ...hook };
  }

  /// Runs everything that was described, then calls `finished(number of tests that passed, messages of what failed)`.
  native.run = (finished) => {
    const plan = steps(root);
    const failures = [];
    let passed = 0;
    let fail; // of the step that is running

    function next() {
      const { value: step, done: over } = plan.next();
      if (over) {
        finished(passed, failures);
        return;
      }
      const { suite, title, body, isTest } = step;
      let ended = false;
      let late = false;
      const end = (error) => {
        if (ended) {
          if (!late) failures.push(`${titleOf(suite, title)}: ended more than once: ${String(error)}`);
          return;
        }
        ended = true;
        clearTimeout(timer);
        if (error !== undefined) failures.push(`${titleOf(suite, title)}: ${String(error)}`);
        else if (isTest) passed++;
        setImmediate(next);
      };
      fail = end;
      const timer = setTimeout(() => {
        end(`not done after ${kTimeout} ms`);
        late = true;
      }, kTimeout);
      try {
        if (body.length > 0) {
          body.call({}, end);
        } else {
          body.call({});
          end();
        }
      } catch (error) {
        end(error ?? 'an exception');
      }
    }

    process.on('uncaughtException', (error) => fail(error ?? 'an exception'));
    next();
  };
})();
