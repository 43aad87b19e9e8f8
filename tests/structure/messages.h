// What tests/structure/errors_test.cc compares: the messages of docs/errors.md, and the string
// literals of the tests.
//
// A message of the document holds sample values: `has 19 fields, expected 20`. It is cut at them
// into fragments, "has" and "fields, expected". What a cut cannot see is a bare name ("table
// item"), so a test uses the names of the document, or the other way round.
#pragma once

#include <algorithm>
#include <cctype>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace trestle {

struct Message {
  int line = 0;  // of the document
  std::string text;
};

// The code spans of one line of Markdown: `x`, and ``x`` where x holds backticks. A span that is
// open at the end of the line is not one: join a paragraph's lines first.
inline std::vector<std::string> CodeSpans(const std::string& text) {
  static const std::regex span("``[ ]?(.+?)[ ]?``(?!`)|`([^`]+)`");
  std::vector<std::string> spans;
  for (std::sregex_iterator i(text.begin(), text.end(), span), end; i != end; ++i) {
    spans.push_back((*i)[1].matched ? (*i)[1].str() : (*i)[2].str());
  }
  return spans;
}

// Whether a span of running text is a message, and not a command or a setting.
inline bool ReadsLikeAMessage(const std::string& span) {
  std::istringstream in(span);
  std::string word;
  int words = 0;
  while (in >> word) ++words;
  return words >= 5 && !span.starts_with("trestle ");
}

// Every code span in the first column of a table of "Message" or "Reason", and in a paragraph that
// begins with "Reasons"; elsewhere what reads like a message.
inline std::vector<Message> DocumentedMessages(const std::string& document) {
  std::vector<Message> messages;
  std::istringstream in(document);
  bool of_messages = false;  // the table
  std::string paragraph;
  int number = 0;
  int first = 0;  // line of the paragraph
  const auto end_paragraph = [&] {
    for (const std::string& span : CodeSpans(paragraph)) {
      if (paragraph.starts_with("Reasons") || ReadsLikeAMessage(span)) {
        messages.push_back({first, span});
      }
    }
    paragraph.clear();
  };
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (!line.starts_with("|")) {
      if (line.empty()) end_paragraph();
      if (paragraph.empty()) first = number;
      paragraph += (paragraph.empty() ? "" : " ") + line;
      continue;
    }
    end_paragraph();
    if (line.starts_with("| Message |") || line.starts_with("| Reason |")) of_messages = true;
    if (line.starts_with("| Code |") || line.starts_with("| What ")) of_messages = false;
    const size_t column = line.find(" | ");
    for (const std::string& span : CodeSpans(line.substr(0, column))) {
      if (of_messages) messages.push_back({number, span});
    }
    for (const std::string& span : CodeSpans(line.substr(column))) {
      if (ReadsLikeAMessage(span)) messages.push_back({number, span});
    }
  }
  end_paragraph();
  return messages;
}

// The words between the sample values of a message, in their order: values are quoted names, `...`,
// paths, files, and words with digits but for "UTF-8" and the like.
inline std::vector<std::string> Fragments(const std::string& message) {
  static const std::regex quoted("\"[^\"]*\"|\\.\\.\\.");
  static const std::regex value(
      "[(,:;]*([^ ]*/[^ ]*|[^ ]*[.](csv|tsv|parquet|txt|textproto|json|safetensors)\\b[^ ]*|"
      "[^ A-Z]*[0-9][^ A-Z]*|(OUT|RUN|[^ ]*step-)[^ ]*)");
  std::istringstream in(std::regex_replace(message, quoted, " 0 "));
  std::vector<std::string> fragments(1);
  for (std::string word; in >> word;) {
    if (std::regex_match(word, value)) {
      fragments.emplace_back();
    } else {
      fragments.back() += (fragments.back().empty() ? "" : " ") + word;
    }
  }
  const auto trim = [](std::string& text) {
    static constexpr char kPunctuation[] = " ,;:.()[]";
    text.erase(0, std::min(text.find_first_not_of(kPunctuation), text.size()));
    text.erase(text.find_last_not_of(kPunctuation) + 1);
  };
  for (std::string& fragment : fragments) trim(fragment);
  std::erase(fragments, "");
  return fragments;
}

// The string literals of a C++ source, escapes undone and adjacent ones joined; comments are none.
inline std::vector<std::string> StringLiterals(const std::string& source) {
  std::vector<std::string> literals;
  bool adjacent = false;
  for (size_t i = 0; i < source.size();) {
    const auto at = [&](std::string_view text) {
      return source.compare(i, text.size(), text) == 0;
    };
    if (at("//")) {
      i = std::min(source.find('\n', i), source.size());
    } else if (at("R\"")) {
      const size_t open = source.find('(', i);
      const std::string close = ")" + source.substr(i + 2, open - i - 2) + "\"";
      const size_t end = source.find(close, open);
      literals.push_back(source.substr(open + 1, end - open - 1));
      i = end + close.size();
      adjacent = false;
    } else if (source[i] == '"') {
      if (!adjacent) literals.emplace_back();
      for (++i; source[i] != '"'; ++i) {
        const bool escape = source[i] == '\\';
        if (escape) ++i;
        literals.back() += escape && source[i] == 'n' ? '\n' : source[i];
      }
      ++i;
      adjacent = true;
    } else if (source[i] == '\'' && (i == 0 || std::isalnum(source[i - 1]) == 0)) {
      for (++i; source[i] != '\''; ++i) i += source[i] == '\\' ? 1 : 0;
      ++i;
      adjacent = false;
    } else {
      adjacent = adjacent && std::isspace(source[i]) != 0;
      ++i;
    }
  }
  return literals;
}

}  // namespace trestle
