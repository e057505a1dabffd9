// Sends one raw message with nodemailer: node nodemailer_client.js HOST PORT SENDER RECIPIENT [USER PASSWORD] < message
"use strict";
const nodemailer = require("./.cache/node_modules/nodemailer");

const [host, port, from, to, user, pass] = process.argv.slice(2);
const transport = nodemailer.createTransport({
  host, port: Number(port), secure: false, ignoreTLS: true,
  auth: user ? { user, pass } : undefined,
});
const raw = require("fs").readFileSync(0);

transport.sendMail({ envelope: { from, to }, raw }).then(
  (info) => console.log(info.response),
  (error) => {
    console.error(`${error.code} ${error.responseCode}\n${error.message}\n${error.response}`);
    process.exit(1);
  },
);
