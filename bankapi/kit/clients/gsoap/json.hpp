// JSON of any object that gSOAP generated, as the client prints it; nothing here is about the gateway.
#pragma once

#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "gateway.hpp"
#include "soapH.h"

inline std::string quoted(const std::string& text) {
    std::string json = "\"";
    for (const char c : text) {
        char escaped[8] = {c};
        if (c == '"' || c == '\\') std::snprintf(escaped, sizeof escaped, "\\%c", c);
        else if (static_cast<unsigned char>(c) < 0x20) std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
        json += escaped;
    }
    return json + "\"";
}

/** Elements as an object, those that come again as an array; a text with attributes as an object with `value`. */
inline std::string json(const soap_dom_element& element) {
    std::map<std::string, std::vector<std::string>> members;
    for (const soap_dom_attribute* each = element.atts; each; each = each->next)
        if (each->text && std::string(each->name).rfind("xmlns", 0) != 0) members[each->name] = {quoted(each->text)};
    const std::string text = element.text ? element.text : "";
    const std::string value = text == "true" || text == "false" ? text : quoted(text);
    if (!element.elts && members.empty()) return value;
    if (!element.elts) members["value"] = {value};
    for (const soap_dom_element* child = element.elts; child; child = child->next) {
        const std::string name = child->name ? child->name : "";
        if (!name.empty()) members[name.substr(name.find(':') + 1)].push_back(json(*child));
    }
    std::string object;
    for (const auto& [name, values] : members) {
        std::string list;
        for (const std::string& each : values) list += (list.empty() ? "" : ", ") + each;
        object += (object.empty() ? "" : ", ") + quoted(name) + ": " + (values.size() > 1 ? "[" + list + "]" : list);
    }
    return "{" + object + "}";
}

/** What gSOAP made of the XML, through gSOAP's own writer: this JSON shows the object, not the message. */
template <class Object>
std::string json(const Object& object) {
    std::stringstream xml;
    Context context(SOAP_C_UTFSTRING | SOAP_XML_TREE);
    soap_set_namespaces(&context, namespaces);
    context.os = &xml;
    soap_begin_send(&context);
    object.soap_put(&context, "object", nullptr);
    soap_end_send(&context);
    soap_dom_element document(&context);
    xml >> document;
    return json(document);
}
