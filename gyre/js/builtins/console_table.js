'use strict';
// console.table: rows and columns from tabular data, drawn with box characters.

const {
  ArrayIsArray, MapPrototypeEntries, MathMax, ObjectGetPrototypeOf, ObjectKeys, ObjectPrototypeHasOwnProperty, SafeMap,
  SetPrototypeValues, StringPrototypeRepeat, Map, Set, uncurryThis,
} = require('primordials');
const { List } = require('inspect_list');
const { textWidth } = require('inspect_width');

const nextOfMap = uncurryThis(ObjectGetPrototypeOf(MapPrototypeEntries(new Map())).next);
const nextOfSet = uncurryThis(ObjectGetPrototypeOf(SetPrototypeValues(new Set())).next);

const kIndexHead = '(index)';
const kIterationHead = '(iteration index)';
const kKeyHead = 'Key';
const kValuesHead = 'Values';

// A table under construction: columns in the order their heads came up, cells by row. Cells may be missing.
class Table {
  rowCount = 0;
  #columns = new List();
  #byHead = new SafeMap();

  addColumn(head) {
    const column = { __proto__: null, head, cells: { __proto__: null } };
    this.#columns.add(column);
    return column;
  }

  column(head) {
    let column = this.#byHead.get(head);
    if (column === undefined) {
      column = this.addColumn(head);
      this.#byHead.set(head, column);
    }
    return column;
  }

  put(row, head, cell) {
    this.column(head).cells[row] = cell;
  }

  draw() {
    const columns = this.#columns;
    const widths = new List();
    for (let i = 0; i < columns.length; i++) {
      const { head, cells } = columns[i];
      let width = textWidth(head);
      for (let row = 0; row < this.rowCount; row++) width = MathMax(width, textWidth(cells[row] ?? ''));
      widths.add(width);
    }
    const rule = (left, middle, right) => {
      const parts = new List();
      for (let i = 0; i < widths.length; i++) parts.add(StringPrototypeRepeat('─', widths[i] + 2));
      return left + parts.join(middle) + right;
    };
    const line = (cellOf) => {
      const parts = new List();
      for (let i = 0; i < widths.length; i++) {
        const cell = cellOf(columns[i]);
        parts.add(cell + StringPrototypeRepeat(' ', widths[i] - textWidth(cell)));
      }
      return `│ ${parts.join(' │ ')} │`;
    };

    let text = `${rule('┌', '┬', '┐')}\n${line((column) => column.head)}\n${rule('├', '┼', '┤')}\n`;
    for (let row = 0; row < this.rowCount; row++) text += `${line((column) => column.cells[row] ?? '')}\n`;
    return text + rule('└', '┴', '┘');
  }
}

// Maps, sets and their iterators: one row an entry, numbered. `format` makes the text of a cell.
function tableOfEntries(data, kind, format) {
  const table = new Table();
  table.column(kIterationHead);
  const addRow = (hasKey, key, value) => {
    table.put(table.rowCount, kIterationHead, `${table.rowCount}`);
    if (hasKey) table.put(table.rowCount, kKeyHead, format(key));
    table.put(table.rowCount, kValuesHead, format(value));
    table.rowCount++;
  };

  if (kind === 'Map') {
    table.column(kKeyHead);
    table.column(kValuesHead);
    const iterator = MapPrototypeEntries(data);
    for (let step = nextOfMap(iterator); !step.done; step = nextOfMap(iterator)) addRow(true, step.value[0], step.value[1]);
  } else if (kind === 'Set') {
    table.column(kValuesHead);
    const iterator = SetPrototypeValues(data);
    for (let step = nextOfSet(iterator); !step.done; step = nextOfSet(iterator)) addRow(false, undefined, step.value);
  } else {
    const { 0: values, 1: isKeyValue } = native.previewEntries(data);
    const hasKey = isKeyValue && kind === 'MapIterator';
    const step = hasKey ? 2 : 1;
    if (hasKey) table.column(kKeyHead);
    table.column(kValuesHead);
    for (let i = 0; i < values.length; i += step) addRow(hasKey, values[i], values[i + step - 1]);
  }
  return table;
}

const isPrimitive = (value) => value === null || (typeof value !== 'object' && typeof value !== 'function');

function tableOfRows(data, properties, format) {
  const table = new Table();
  const rowNames = ObjectKeys(data);
  const primitives = { __proto__: null }; // cells
  let hasPrimitives = false;
  table.column(kIndexHead);
  table.rowCount = rowNames.length;
  for (let row = 0; row < rowNames.length; row++) {
    table.put(row, kIndexHead, rowNames[row]);
    const item = data[rowNames[row]];
    if (isPrimitive(item) && properties === undefined) {
      hasPrimitives = true;
      primitives[row] = format(item);
      continue;
    }
    const heads = properties ?? ObjectKeys(item);
    for (let i = 0; i < heads.length; i++) {
      const head = heads[i];
      const hasCell = !isPrimitive(item) && ObjectPrototypeHasOwnProperty(item, head);
      table.put(row, head, hasCell ? format(item[head]) : '');
    }
  }
  // What has no properties is listed under "Values", which comes last.
  if (hasPrimitives) table.addColumn(kValuesHead).cells = primitives;
  return table;
}

/// The drawn table for `data` (an object); `properties` are the columns wanted, all if undefined. `format` inspects a value
/// for a cell.
function drawTable(data, properties, format) {
  const kind = native.kindOf(data);
  const isCollection = kind === 'Map' || kind === 'Set' || kind === 'MapIterator' || kind === 'SetIterator';
  return (isCollection ? tableOfEntries(data, kind, format) : tableOfRows(data, properties, format)).draw();
}

/// Whether a value is set with depth 0 (one level) in a cell; bigger objects are only named.
function fitsCell(value) {
  return isPrimitive(value) || typeof value === 'function' || ArrayIsArray(value) || ObjectKeys(value).length <= 2;
}

exports.drawTable = drawTable;
exports.fitsCell = fitsCell;
